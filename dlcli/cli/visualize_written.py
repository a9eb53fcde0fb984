"""Where the pictures of `dlcli visualize` go, and how they are called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.cli import options
from dlcli.errors import UsageError

if TYPE_CHECKING:
    from dlcli.console import Screen
    from dlcli.training.checkpoint import Checkpoint


def check_output(path: Path | None, suffixes: tuple[str, ...] = options.PICTURES) -> None:
    """Before the work: whether a picture can be written there. Raises UsageError."""
    options.check_picture(path, "-o", suffixes)
    if path is not None and not path.absolute().parent.is_dir():
        raise UsageError(f"There is no folder {path.parent} to write {path.name} into.")


def title_of(checkpoint: Checkpoint) -> str:
    """What a model is called in its pictures."""
    contents = checkpoint.contents
    return str(contents.spec.get("name", checkpoint.path.stem)) if contents is not None else checkpoint.path.stem


def write(screen: Screen, figure: Any, path: Path) -> None:
    """Write a picture, and say where it is. Raises RunError."""
    from dlcli.describing.drawing import save

    save(figure, path)
    screen.out.print(str(path), soft_wrap=True, markup=False)
