"""The command line: one file a command. Each reads its arguments, calls one function, and shows the result."""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """The `dlcli` command."""
    _open_closed_streams()
    # Looking for plugins of pydantic's reads the metadata of every installed package; dlcli has no use for any.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # dlcli draws into files only. A notebook's kernel names a backend here that another environment has not, and then
    # Keras, which loads matplotlib, could not be loaded.
    os.environ["MPLBACKEND"] = "agg"

    # What is loaded at the start stays: looking there for garbage is in vain. `Screen.divert` enables it again.
    gc.disable()

    from dlcli.cli.app import app

    try:
        app()
    finally:
        if not gc.isenabled():
            gc.freeze()  # nor is it looked for at the end of a short command


def _open_closed_streams() -> None:
    """A command started with a standard stream closed (`2>&-`) writes to nowhere, instead of into its own files."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)  # the lowest free descriptor: the closed one
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))
