"""A look at a folder of texts, with a folder for each class, and the spec for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlcli.data.class_folders import list_folders
from dlcli.data.image_reader import PICTURES
from dlcli.data.text_reader import TEXTS, read_texts
from dlcli.spec.writing import to_flow
from dlcli.starting.folders import classes_in_words, held_out, splits_lines, to_beat
from dlcli.starting.layouts import encoding_of
from dlcli.starting.lines import beside, table, wrapped
from dlcli.starting.networks import class_output, learning, text_layers, training
from dlcli.starting.plans import plan_for_texts
from dlcli.starting.words import Words


@dataclass(frozen=True)
class TextFacts:
    """A folder of texts, looked at.

    Attributes:
        folder: where they are.
        classes: with the numbers of texts to train on, or to hold some out of.
        own: how many are in a `test` set and a `validation` set of their own.
        encoding: how characters are written in them.
        others: how many files have bytes that UTF-8 does not have.
        words: those of the texts that are in neither of these sets.
    """

    folder: Path
    classes: tuple[tuple[str, int], ...]
    own: dict[str, int]
    encoding: str
    others: int
    words: Words


def has_texts(folder: Path) -> bool:
    """Whether there are more texts than images in a folder."""
    return len(TEXTS.below(folder, None)) > len(PICTURES.below(folder, None))


def look_at_texts(folder: Path) -> TextFacts:
    """What is in a folder of texts. Raises DataError if it has no two classes, or a file cannot be read."""
    listing = list_folders(folder, TEXTS, None, None, lambda text: None, with_classes=True)
    classes = listing.classes or ()
    paths = listing.every
    encodings = Counter(map(encoding_of, paths))
    encoding = next(name for name in ("latin-1", "cp1252", "utf-16", "utf-8") if encodings[name])
    train = listing.splits["train"]
    counts = np.bincount(train.targets, minlength=len(classes)).tolist()
    return TextFacts(
        folder,
        tuple(zip(classes, counts, strict=True)),
        {name: len(listed.paths) for name, listed in listing.splits.items() if listed is not train},
        encoding,
        len(paths) - encodings["utf-8"],
        Words.of(read_texts(train.paths, encoding)),
    )


def text_spec(facts: TextFacts, path: str, name: str, command: str) -> str:
    """The text of a spec; `path` is how it names the folder, `command` how it was asked for."""
    has_test_set = "test" in facts.own
    holding = held_out(facts.classes, has_test_set=has_test_set, has_validation_set="validation" in facts.own)
    plan = plan_for_texts(len(holding.train))
    lines = [
        *_seen(facts, command),
        "",
        f"name: {to_flow(name)}",
        "seed: 0",
        "",
        "dataset:",
        *_source(facts, path),
        *splits_lines(holding, "texts", has_test_set=has_test_set),
        f"  batch_size: {plan.batch_size}",
        "",
        "model:",
        "  layers:",
        *text_layers(facts.words.vocabulary, plan),
        *class_output([one for one, _ in facts.classes]),
        "",
        *learning(sorted(facts.classes, key=lambda pair: -pair[1]), plan),
        "",
        *training(plan, holding),
    ]
    return "\n".join(lines) + "\n"


def _seen(facts: TextFacts, command: str) -> Sequence[str]:
    """The comment at the top."""
    own = "".join(f", and {count:,} in a {name} set of their own" for name, count in facts.own.items())
    count = sum(count for _, count in facts.classes)
    lengths = facts.words.lengths
    words = f"{lengths.min():,} to {lengths.max():,} in a text, mostly near {np.median(lengths):,.0f}"
    return [
        *wrapped(f"{facts.folder.absolute().name}: {count:,} texts in class folders{own}. Written by `{command}`."),
        "#",
        *table([("classes", classes_in_words(facts.classes)), ("words", words)]),
        "#",
        *to_beat(facts.classes),
    ]


def _source(facts: TextFacts, path: str) -> list[str]:
    lines = [(f"      path: {to_flow(path)}", "")]
    if facts.encoding != "utf-8":
        files = f"{facts.others:,} file{'s have' if facts.others > 1 else ' has'} bytes that UTF-8 does not have"
        lines.append((f"      encoding: {facts.encoding}", files))
    lines.append((f"      length: {facts.words.length}", "as many words as 95 of 100 have"))
    lines.append((f"      vocabulary: {facts.words.vocabulary}", f"{facts.words.repeated:,} words come more than once"))
    return ["  source:", "    text:", *beside(lines)]
