"""A trained model in formats that other programs run, each seen to answer as dlcli does."""
