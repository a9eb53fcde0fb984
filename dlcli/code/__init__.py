"""From a spec to a plain Keras script that a person could have written. Imports no TensorFlow."""
