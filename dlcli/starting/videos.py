"""A look at a folder of films, with a folder for each class, and the spec for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.class_folders import entries_of, folders_of_splits, is_folder, list_folders
from dlcli.data.image_decoding import UnreadableError, set_up
from dlcli.data.video_files import FILMS, film_appearance, films_below, frames_in
from dlcli.errors import DataError
from dlcli.spec.writing import to_flow
from dlcli.starting.folders import classes_in_words, held_out, splits_lines, to_beat
from dlcli.starting.images import SUFFIXES, usual_size
from dlcli.starting.lines import beside, table, wrapped
from dlcli.starting.networks import class_output, learning, training
from dlcli.starting.plans import Plan

_LOOKED_AT = 50  # films whose size is read
_LARGEST = 64  # pixels: a film has many images
_MOST_FRAMES = 16
_LAST = 6  # pixels that are left after the last pooling, or a few more
_STEPS = 2_000


@dataclass(frozen=True)
class VideoFacts:
    """A folder of films, looked at.

    Attributes:
        folder: where they are.
        classes: with the numbers of films to train on, or to hold some out of.
        own: how many are in a `test` set and a `validation` set of their own.
        lengths: how many frames some of them have, shape (n,).
        sizes: heights and widths of these, shape (n, 2).
        is_grey: whether these have no colours.
    """

    folder: Path
    classes: tuple[tuple[str, int], ...]
    own: dict[str, int]
    lengths: np.ndarray[Any, np.dtype[np.int64]]
    sizes: np.ndarray[Any, np.dtype[np.int64]]
    is_grey: bool


def has_films(folder: Path) -> bool:
    """Whether the folders of classes have films in them: folders of frames, arrays, animations; and no images."""
    for inner in entries_of(folders_of_splits(folder)["train"]):
        if not is_folder(inner):
            continue
        entries = entries_of(Path(inner.path))
        if any(Path(entry.name).suffix.lower() in SUFFIXES and not entry.name.endswith(".gif") for entry in entries):
            return False
        films = films_below(Path(inner.path))
        if films and all(film.suffix != ".gif" or _looked(film, frames_in) > 1 for film in films[:_LOOKED_AT]):
            return True
    return False


def look_at_videos(folder: Path) -> VideoFacts:
    """What is in a folder of films. Raises DataError if it has no two classes, or a film cannot be read."""
    set_up()
    listing = list_folders(folder, FILMS, None, None, lambda text: None, with_classes=True)
    train = listing.splits["train"]
    counts = np.bincount(train.targets, minlength=len(listing.classes or ())).tolist()
    some = train.paths[:: max(1, len(train.paths) // _LOOKED_AT)]
    seen = [_looked(film, lambda path: film_appearance(path, 1)) for film in some]
    return VideoFacts(
        folder,
        tuple(zip(listing.classes or (), counts, strict=True)),
        {name: len(listed.paths) for name, listed in listing.splits.items() if listed is not train},
        np.asarray([_looked(film, frames_in) for film in some], np.int64),
        np.asarray([one.size for one in seen], np.int64),
        all(one.is_grey for one in seen),
    )


def _looked(film: Path, look: Callable[[Path], Any]) -> Any:
    try:
        return look(film)
    except UnreadableError as error:
        raise DataError(f"{film} is not a film that can be read: {error}.", "Replace or remove it.") from error


def video_spec(facts: VideoFacts, path: str, name: str, command: str) -> str:
    """The text of a spec; `path` is how it names the folder, `command` how it was asked for."""
    has_test_set = "test" in facts.own
    holding = held_out(facts.classes, has_test_set=has_test_set, has_validation_set="validation" in facts.own)
    size, plan = usual_size(facts.sizes, _LARGEST), _plan(len(holding.train))
    frames = min(_MOST_FRAMES, int(np.median(facts.lengths)))
    lines = [
        *_seen(facts, command),
        "",
        f"name: {to_flow(name)}",
        "seed: 0",
        "",
        "dataset:",
        "  source:",
        "    video:",
        *beside([(f"      path: {to_flow(path)}", ""),
                 (f"      frames: {frames}", "of each film, evenly spaced"),
                 (f"      size: {to_flow(list(size))}", "height and width to which all are brought")]),
        *splits_lines(holding, "films", has_test_set=has_test_set),
        f"  batch_size: {plan.batch_size}",
        "",
        "model:",
        "  layers:",
        *_convolutions(size, plan),
        *class_output([one for one, _ in facts.classes]),
        "",
        *learning(sorted(facts.classes, key=lambda pair: -pair[1]), plan),
        "",
        *training(plan, holding),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _plan(examples: int) -> Plan:
    batch_size = 8 if examples < 500 else 32
    epochs = int(round(max(10, min(60, _STEPS * batch_size / max(1, examples))), -1))
    return Plan(1, 8, 0.2, batch_size, 0.003, 0.0, epochs, max(5, epochs // 4))


def _seen(facts: VideoFacts, command: str) -> list[str]:
    own = "".join(f", and {count:,} in a {name} set of their own" for name, count in facts.own.items())
    count = sum(count for _, count in facts.classes)
    height, width = (float(one) for one in np.median(facts.sizes, axis=0))
    least, most = int(facts.lengths.min()), int(facts.lengths.max())
    frames = f"{least:,}{f' to {most:,}' * (most > least)} in a film ({len(facts.lengths)} were looked at)"
    return [
        *wrapped(f"{facts.folder.absolute().name}: {count:,} films in class folders{own}. Written by `{command}`."),
        "#",
        *table([("classes", classes_in_words(facts.classes)), ("frames", frames),
                ("size", f"most near {height:.0f}×{width:.0f}"),
                ("colours", "none, they are grey" if facts.is_grey else "red, green, blue")]),
        "#",
        *to_beat(facts.classes),
    ]  # fmt: skip


def _convolutions(size: Sequence[int], plan: Plan) -> list[str]:
    blocks = max(0, min(3, int(math.log2(min(size) / _LAST))))
    why = "Patterns in time and space: a film is looked at in pieces of 3 frames, 3 pixels high and wide."
    lines = wrapped(why, 4)
    for number in range(blocks):
        lines.append(
            f"    - Conv3D: {{filters: {plan.units << number}, kernel_size: 3, padding: same, activation: relu}}"
        )
        lines.append("    - MaxPooling3D: {pool_size: [1, 2, 2]}")
    last = f"    - Conv3D: {{filters: {plan.units << blocks}, kernel_size: 3, padding: same, activation: relu}}"
    return [
        *lines,
        last,
        *beside([("    - GlobalAveragePooling3D", "how much of each pattern there is, wherever and whenever"),
                 (f"    - Dropout: {{rate: {plan.dropout:g}}}", "against learning the films by heart")]),
    ]  # fmt: skip
