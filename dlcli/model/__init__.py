"""The model: from a spec to a keras.Model, and what its layers cost."""
