"""Lets `python -m dlcli` do what the `dlcli` command does."""

from dlcli.cli import main

if __name__ == "__main__":
    main()
