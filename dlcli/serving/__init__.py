"""A model behind HTTP: what requests hold, how they become batches, the answers, and a page for a person."""
