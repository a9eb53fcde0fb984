"""Reads films as in training; what that takes is kept with the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlcli.data.class_folders import named_files
from dlcli.data.dataset import Array, ClassNames
from dlcli.data.image_decoding import Form
from dlcli.data.image_files import check_memory
from dlcli.data.image_reading import read_each, unreadable_error
from dlcli.data.video_files import FILMS, FilmForm, read_film
from dlcli.spec.source import INPUT, InputFacts


@dataclass(frozen=True)
class VideoReader:
    """Makes bytes of films as in training.

    Attributes:
        wanted: what every film becomes.
        classes: the classes in the order of their numbers; None for an autoencoder.
    """

    wanted: FilmForm
    classes: ClassNames

    @property
    def facts(self) -> dict[str, InputFacts]:
        """What is known of the input."""
        return {INPUT: InputFacts("video", self.wanted.shape)}

    def reads(self, path: Path) -> bool:
        """Whether this is no archive of arrays, which may hold films as well."""
        return path.suffix.lower() != ".npz"

    def raw_inputs(self, paths: Sequence[Path]) -> tuple[Array, list[str]]:
        """The films, and all those in folders, with a name for each. Raises DataError."""
        films, names = named_files(paths, FILMS)
        check_memory(len(films), self.wanted.form, self.wanted.frames)

        def read_into(film: Path, into: Array) -> None:
            into[...] = read_film(film, self.wanted)

        read = read_each(films, self.wanted.shape, read_into, self.wanted.form, one="film")
        if read.unreadable:
            raise unreadable_error(films, read.unreadable, one="film")
        return read.images, names

    def state(self) -> dict[str, Any]:
        """As data for JSON."""
        form = self.wanted.form
        described = {"frames": self.wanted.frames, "size": list(form.size), "color": form.color, "fit": form.fit}
        return {"kind": "video", **described, "classes": None if self.classes is None else list(self.classes)}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> VideoReader:
        """The reader that `state` described."""
        height, width = state["size"]
        classes = None if state["classes"] is None else tuple(state["classes"])
        return cls(FilmForm(state["frames"], Form((height, width), state["color"], state["fit"])), classes)
