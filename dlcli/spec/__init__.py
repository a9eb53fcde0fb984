"""The spec: the grammar of the YAML file, reading it with positions, and the catalogue of Keras names."""
