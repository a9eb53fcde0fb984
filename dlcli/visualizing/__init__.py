"""Pictures of what a model has learned: a module for each kind; options, and where pictures go, are the command's."""
