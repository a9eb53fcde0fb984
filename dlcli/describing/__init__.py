"""What data is like: columns, classes, splits, and pictures of examples, for a person to look at before training."""
