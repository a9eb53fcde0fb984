"""Training: the backend, the engine that runs a model over data, the loop of epochs, and checkpoints."""
