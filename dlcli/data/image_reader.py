"""Reads pictures as in training; what that takes is kept with the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.data.class_folders import files_with, named_files
from dlcli.data.dataset import Array, ClassNames
from dlcli.data.image_decoding import SUFFIXES, Form
from dlcli.data.image_files import Pictures, fit_into_memory
from dlcli.data.image_reading import look_at_pictures, read_pictures, unreadable_error
from dlcli.spec.source import INPUT, InputFacts

PICTURES = files_with(
    SUFFIXES, "image", "; or name their classes in a table, as in `images: {path: labels.csv, target: class}`"
)
"""the files that are taken for pictures"""


@dataclass(frozen=True)
class ImageReader:
    """Makes bytes of pictures as in training.

    Attributes:
        form: what every picture becomes.
        classes: the classes in the order of their numbers; None for a regression.
        is_text: whether the classes in a table are texts as written.
        in_files: whether they stayed in their files in training; so they do ever after.
    """

    form: Form
    classes: ClassNames
    is_text: bool
    in_files: bool = False

    @property
    def facts(self) -> dict[str, InputFacts]:
        """What is known of the input."""
        return {INPUT: InputFacts("images", self.form.shape)}

    def reads(self, path: Path) -> bool:
        """Whether this is not an array, which may hold pixels as well."""
        return path.suffix.lower() not in (".npy", ".npz")

    def raw_inputs(self, paths: Sequence[Path]) -> tuple[Array, list[str]]:
        """The pictures, and all those in folders, with a name for each. Raises DataError."""
        files, names = named_files(paths, PICTURES)
        if not fit_into_memory(len(files), self.form):
            unreadable = look_at_pictures(files, self.form, is_exact=False)
            if unreadable:
                raise unreadable_error(files, unreadable)
            kept: Any = Pictures(paths[0], files, self.form)
            return kept, names
        read = read_pictures(files, self.form)
        if read.unreadable:
            raise unreadable_error(files, read.unreadable)
        return read.images, names

    def state(self) -> dict[str, Any]:
        """As data for JSON."""
        form = {"size": list(self.form.size), "color": self.form.color, "fit": self.form.fit}
        classes = None if self.classes is None else list(self.classes)
        return {"kind": "images", **form, "classes": classes, "is_text": self.is_text, "in_files": self.in_files}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> ImageReader:
        """The reader that `state` described."""
        height, width = state["size"]
        classes = None if state["classes"] is None else tuple(state["classes"])
        form = Form((height, width), state["color"], state["fit"])
        return cls(form, classes, state["is_text"], state.get("in_files", False))
