"""Data: sources of examples, how they are split, and the preparation that turns them into model inputs."""
