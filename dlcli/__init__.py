"""dlcli trains and evaluates deep-learning models described in YAML."""

__version__ = "0.1.0"
