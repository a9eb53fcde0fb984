"""From a model that Keras saved to a spec. Its config is read as data: nothing in it is made or run."""
