"""`dlcli serve`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlcli.cli import options
from dlcli.errors import UsageError

if TYPE_CHECKING:
    import socket

    from dlcli.console import Screen
    from dlcli.serving.refusals import Limits

_NEEDED = {"fastapi": "FastAPI", "uvicorn": "uvicorn", "python_multipart": "python-multipart"}
_HERE = ("127.0.0.1", "localhost", "::1")


def serve(
    context: typer.Context,
    checkpoint: Annotated[Path, typer.Argument(help="A run, as listed or its folder; or a .h5 file.")],
    host: Annotated[str, typer.Option(help="The address to listen at; `0.0.0.0` for all of this machine.")] = _HERE[0],
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 for any that is free.")] = 8000,
    max_body: Annotated[float, typer.Option(min=0.001, help="Megabytes of a request at most.")] = 16.0,
    max_rows: Annotated[int, typer.Option(min=1, help="Rows, or files, of a request at most.")] = 1_000,
    max_pixels: Annotated[float, typer.Option(min=0.001, help="Millions of pixels of a picture at most.")] = 32.0,
    queue: Annotated[int, typer.Option(min=1, help="Requests that may wait for their batch.")] = 256,
    patience: Annotated[
        float, typer.Option(min=0.01, help="Seconds in which a request must come, or else 4 kB in each.")
    ] = 0.8,
    device: options.Device = "auto",
    trust_code: options.TrustCode = False,
) -> None:
    """Try a model over HTTP, and on a page in the browser: `dlcli serve runs/mnist_cnn`."""
    screen: Screen = context.obj
    screen.trusts_code = trust_code
    missing = [name for module, name in _NEEDED.items() if find_spec(module) is None]
    if missing:
        message = (
            f"`dlcli serve` needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not there."
        )
        raise UsageError(message, "Run `pip install 'dlcli[serve]'`.")

    from dlcli.serving.refusals import Limits
    from dlcli.serving.server import open_socket

    body = int(max_body * 2**20)
    limits = Limits(
        body=body, rows=max_rows, pixels=int(max_pixels * 1e6), waiting=queue, held=8 * body, patience=patience
    )
    with open_socket(host, port) as found:  # before the slow start of TensorFlow
        number = _serve(screen, checkpoint, device, limits, found)
    screen.message("Stopped.")
    raise typer.Exit(128 + number)


def _serve(screen: Screen, checkpoint: Path, device: str, limits: Limits, found: socket.socket) -> int:
    opened, choices = options.start(screen, checkpoint, device)

    from dlcli.serving.application import Application
    from dlcli.serving.served import Served
    from dlcli.serving.server import serve

    application = Application(Served(opened, choices, limits), limits, screen.message)
    host, port, *_ = found.getsockname()
    shown = f"[{host}]" if ":" in host else host
    if host not in _HERE:
        lines = [f"Whoever reaches {shown}:{port} can use the model: there is no password and no encryption."]
        screen.panel("open to others", lines)
    screen.message(f"Serving {opened.path} at http://{shown}:{port}; Ctrl+C ends it.")
    try:
        return serve(application.app, found, limits)
    finally:
        application.close()
