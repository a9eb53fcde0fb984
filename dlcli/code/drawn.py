"""Data that is drawn, in Python: with the function that draws it, and several inputs and targets in dictionaries."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dlcli.data import drawn
from dlcli.errors import DlcliError
from dlcli.spec.source import Source
from dlcli.spec.sources import Pairs
from dlcli.spec.sources_drawn import Motion, Random, Ratings, Shapes


@dataclass(frozen=True)
class Loaded:
    """The statements that bring `x_train` and `y_train`, and the test set if the source has one."""

    imports: Sequence[str]
    functions: Sequence[str]
    lines: Sequence[str]


def source_of(function: Callable[..., object]) -> str:
    """The text of a function of plain Python, without its annotations."""
    text = inspect.getsource(function)
    head, _, body = text.partition(":\n")
    for annotation in (": int", ": float", ": Array"):
        head = head.replace(annotation, "")
    return f"{head.partition(' -> ')[0]}:\n{body}"


def drawn_code(source: Source, seed: int, image_lines: Callable[[str], Sequence[str]]) -> Loaded:
    """What a script does to draw the examples.

    Args:
        source: where they come from.
        seed: the seed that is used.
        image_lines: the statements that load a set of images, for `pairs`.
    """
    numpy = ["import numpy as np"]
    match source:
        case Shapes():
            call = f"shapes({source.samples}, side={source.side}, noise={source.noise}, seed={seed})"
            lines = [f"x_train, kind, size = {call}", 'y_train = {"kind": kind, "size": size}']
            return Loaded(numpy, [source_of(drawn.shapes)], lines)
        case Motion():
            size = f"frames={source.frames}, side={source.side}"
            call = f"motion({source.samples}, {size}, noise={source.noise}, seed={seed})"
            return Loaded(numpy, [source_of(drawn.motion)], [f"x_train, y_train = {call}"])
        case Ratings():
            size = f"users={source.users}, items={source.items}, factors={source.factors}"
            call = f"ratings({source.samples}, {size}, noise={source.noise}, seed={seed})"
            lines = [f"user, item, y_train = {call}", 'x_train = {"user": user, "item": item}']
            return Loaded(numpy, [source_of(drawn.ratings)], lines)
        case Pairs():
            return Loaded(numpy, [source_of(drawn.pairs)], [*image_lines(source.of), *_pairs(source, seed)])
        case Random():
            return Loaded(numpy, [], _random(source, seed))
    raise DlcliError(f"{source.name} is not a data set that is drawn.")


def _pairs(source: Pairs, seed: int) -> list[str]:
    lines: list[str] = []
    if source.of == "digits":
        lines = [
            f"of_test = np.arange(len(x_train)) % {drawn.TEST_SHARE} == {drawn.TEST_SHARE - 1}",
            "x_train, x_test = x_train[~of_test], x_train[of_test]",
            "y_train, y_test = y_train[~of_test], y_train[of_test]",
        ]
    for number, (split, count) in enumerate(zip(("train", "test"), source.examples, strict=True)):
        lines += [
            f"left, right, y_{split} = pairs(x_{split}, y_{split}, {count}, seed={seed + number})",
            f'x_{split} = {{"left": left, "right": right}}',
        ]
    return lines


def _random(source: Random, seed: int) -> list[str]:
    lines = [f"random = np.random.default_rng({seed})"]
    inputs = {
        name: f'random.standard_normal({(source.samples, *facts.shape)!r}, dtype="float32")'
        for name, facts in source.input_facts.items()
    }
    targets = {
        name: f'random.standard_normal({source.samples}, dtype="float32")'
        if classes is None
        else f'random.permutation(np.arange({source.samples}) % {classes}).astype("int32")'
        for name, classes in source.target_classes.items()
    }
    for variable, parts in (("x_train", inputs), ("y_train", targets)):
        by_name = f"{{{', '.join(f'{name!r}: {made}' for name, made in parts.items())}}}"
        lines.append(f"{variable} = {by_name if len(parts) > 1 else next(iter(parts.values()))}")
    return lines
