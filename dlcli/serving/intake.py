"""What goes into a model, made of what a request holds with the reader that the checkpoint keeps, as `predict` does."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dlcli.data.dataset import Array, OneOrNamed, for_each
from dlcli.data.image_decoding import SUFFIXES, Form, UnreadableError, appearance, read_picture, set_up
from dlcli.errors import DataError
from dlcli.evaluation.inputs import Expected, read_image
from dlcli.evaluation.predicting import raw_inputs
from dlcli.serving.content import Content, File, Rows, too_many
from dlcli.serving.refusals import Limits, RefusedError, refused
from dlcli.training.checkpoint import Checkpoint

_PICTURE = SUFFIXES
_LINES = (".csv", ".tsv", ".tab")
ROWS = Path("The request")
"""what messages call rows of JSON"""


@dataclass(frozen=True)
class Taken:
    """What was made of one request.

    Attributes:
        values: raw examples, shape (n, ...), by name where there are several inputs; or what is made such together
            with that of other requests.
        names: of the examples.
    """

    values: Any
    names: list[str]

    def __len__(self) -> int:
        return len(self.names)


class Intake(ABC):
    """Makes raw examples of requests.

    Args:
        checkpoint: of the model.
        limits: of one request.
    """

    kind: str
    """what a person gives: `image`, `table`, `text`, `series`, `film` or `numbers`"""
    suffixes: tuple[str, ...]
    """of the files that are read"""

    def __init__(self, checkpoint: Checkpoint, limits: Limits) -> None:
        self.checkpoint = checkpoint
        self.limits = limits
        set_up()

    def take(self, content: Content) -> Taken:
        """What a request holds. Raises RefusedError if that does not fit the model."""
        try:
            taken = self.of_rows(content.rows) if isinstance(content, Rows) else self._of_files(content)
        except DataError as error:
            raise refused(error) from error
        if len(taken) > self.limits.rows:
            raise too_many(len(taken), self.limits)
        return taken

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What goes in, as data for JSON; `example` is a body that could be sent."""

    @abstractmethod
    def of_rows(self, rows: Sequence[Any]) -> Taken:
        """What rows of JSON hold. Raises DataError."""

    def of_picture(self, file: File) -> OneOrNamed[Array]:
        """A picture as a raw example, shape (1, ...). Raises DataError."""
        raise DataError(f"{file.name} is an image; this model takes none.", self.hint)

    def together(self, values: Sequence[Any]) -> OneOrNamed[Array]:
        """What was taken of several requests, as raw examples, one behind the other. Raises DataError."""
        return joined(values)

    @property
    def hint(self) -> str:
        """What to send, for whoever has sent something else."""
        return f"It takes {self.kind} rows as JSON, as `/metadata` shows; files: {', '.join(self.suffixes) or 'none'}."

    def _of_files(self, files: Sequence[File]) -> Taken:
        parts = [self._of_file(file) for file in files]
        return Taken(joined([part.values for part in parts]), [name for part in parts for name in part.names])

    def _of_file(self, file: File) -> Taken:
        suffix = Path(file.name).suffix.lower()
        if suffix in self.suffixes and not (suffix in _PICTURE and self.kind == "image"):
            return self._of_disk(file, suffix)
        if suffix in _PICTURE or self.kind == "image":
            return Taken(self.of_picture(file), [file.name])
        raise RefusedError(415, f"{file.name} is of a kind that is not read.", self.hint)

    def _of_disk(self, file: File, suffix: str) -> Taken:
        """A file read by the checkpoint's reader, which wants it on a disk."""
        if suffix in _LINES and file.data.count(b"\n") > self.limits.rows + 1:
            raise too_many(file.data.count(b"\n") - 1, self.limits)
        if suffix == ".gif":
            _check_frames(file, self.limits)
        with tempfile.TemporaryDirectory(prefix="dlcli-") as folder:
            path = Path(folder) / file.name
            path.write_bytes(file.data)
            try:
                found = raw_inputs(self.checkpoint, [path])
                values = for_each(lambda array: np.asarray(array[:]), found.values)  # before the file is gone
            except DataError as error:
                hint = error.hint and error.hint.replace(f"{folder}/", "")
                raise DataError(error.message.replace(f"{folder}/", ""), hint) from error
        return Taken(values, found.names)


def joined(parts: Sequence[OneOrNamed[Array]]) -> OneOrNamed[Array]:
    """Raw examples of several, one behind the other."""
    return parts[0] if len(parts) == 1 else for_each(lambda *arrays: np.concatenate(arrays), parts[0], *parts[1:])


def row_names(rows: Sequence[Any]) -> list[str]:
    """What rows of JSON are called."""
    return [f"rows[{number}]" for number in range(len(rows))]


def pixels_of(file: File, form: Form | Expected, limits: Limits) -> Array:
    """A picture's pixels, shape (1, ...), as `predict` reads them of a file. Raises DataError, RefusedError."""
    try:
        height, width = appearance(BytesIO(file.data)).size
        if height * width > limits.pixels:
            message = f"{file.name} has {height:,}×{width:,} pixels; at most {limits.pixels:,} are read."
            raise RefusedError(413, message, "Make it smaller; `--max-pixels` allows more.")
        if isinstance(form, Form):
            return read_picture(BytesIO(file.data), form)[None]
    except UnreadableError as error:
        raise DataError(f"{file.name} is not an image that can be read: {error}.") from error
    return read_image(BytesIO(file.data), file.name, form)[None]


def _check_frames(file: File, limits: Limits) -> None:
    """See that the images of an animation, all of which may be decoded, are not too large. Raises RefusedError."""
    try:
        with Image.open(BytesIO(file.data), formats=("GIF",)) as image:
            pixels = image.height * image.width * getattr(image, "n_frames", 1)
    except Exception as error:  # Pillow's readers raise anything about a damaged file
        raise DataError(f"{file.name} is not an animation that can be read: {error}.") from error
    if pixels > limits.pixels:
        message = f"The images of {file.name} have {pixels:,} pixels together; at most {limits.pixels:,} are read."
        raise RefusedError(413, message, "Make it smaller; `--max-pixels` allows more.")
