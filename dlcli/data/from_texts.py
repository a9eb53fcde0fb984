"""The examples of a `text` source: files in class folders, each as the numbers of its words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from dlcli.data.class_folders import Listing, list_folders, without_unused
from dlcli.data.columns import Text as Words
from dlcli.data.columns import split_words
from dlcli.data.dataset import Dataset, Examples
from dlcli.data.finding import find_one
from dlcli.data.fingerprint import fingerprint_of
from dlcli.data.splits import Splits, split_as_written
from dlcli.data.text_reader import TEXTS, TextReader, read_texts
from dlcli.data.where import Where
from dlcli.errors import DataError
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.sources_texts import Text


def load_texts(
    loaded: LoadedSpec, source: Text, where: Where, folders: Sequence[Path], reader: TextReader | None
) -> tuple[Dataset, Splits]:
    """The examples of texts, split; the words are those of the training rows.

    Args:
        loaded: the spec.
        source: its source.
        where: who is told what a person must know.
        folders: where its files may be.
        reader: what made numbers of words in training; None to learn them from the training rows.

    Raises:
        DataError: there are none, one cannot be read, or no text to train on has a word.
    """
    origin = _folder(source.path, folders)
    test = _folder(source.test_path, folders) if source.test_path is not None else None
    with_classes = loaded.spec.dataset.labels != "input"
    classes = reader.classes if reader is not None else None

    def read() -> tuple[Listing, Mapping[str, list[str]]]:
        found = list_folders(origin, TEXTS, test, classes, where.notify, with_classes=with_classes)
        found = without_unused(found, TEXTS, loaded, origin, where.notify)
        return found, _texts(found, source.encoding, where)

    listing, texts = loaded.once("texts", read)
    unread = {
        name: Examples(np.empty((len(listed.paths), 0), np.int32), listed.targets)
        for name, listed in listing.splits.items()
    }
    dataset = Dataset(
        source.name, source.kind, unread["train"], unread.get("test"), listing.classes, None, str(origin), "",
        validation=unread.get("validation"),
    )  # fmt: skip
    if reader is None:
        rows = split_as_written(loaded, dataset).train.indices
        column = _fitted([texts["train"][row] for row in rows], source, origin)
        reader = TextReader(column, listing.classes, source.encoding)
    each = {name: replace(examples, inputs=reader.encode(texts[name])) for name, examples in unread.items()}
    train, test_set, validation = each["train"], each.get("test"), each.get("validation")
    dataset = replace(
        dataset, train=train, test=test_set, validation=validation, reader=reader,
        fingerprint=fingerprint_of(train, test_set, validation),
    )  # fmt: skip
    return dataset, split_as_written(loaded, dataset)


def _folder(name: str, folders: Sequence[Path]) -> Path:
    found = find_one(name, folders)
    if not found.is_dir():
        hint = "Name the folder that has a folder for each class in it; a table of texts is read by `csv`."
        raise DataError(f"{found} is a file.", hint)
    return found


def _texts(listing: Listing, encoding: str, where: Where) -> Mapping[str, list[str]]:
    """The texts of each split."""
    paths = listing.every
    texts = read_texts(paths, encoding, where.progressed)
    empty = [path for path, text in zip(paths, texts, strict=True) if not split_words(text)]
    if empty:
        of_them = f"such as {empty[0]}, have" if len(empty) > 1 else f"{empty[0]}, has"
        where.notify(f"{len(empty):,} of {len(paths):,} texts, {of_them} no word: all their numbers are 0.")
    each, at = {}, 0
    for name, listed in listing.splits.items():
        each[name] = texts[at : at + len(listed.paths)]
        at += len(listed.paths)
    return each


def _fitted(texts: Sequence[str], source: Text, origin: Path) -> Words:
    column = Words.fit("text", pd.Series(texts, dtype=object), source.length, source.vocabulary)
    if not column.words:
        raise DataError(
            f"{origin}: none of the texts to train on has a word.", "Put texts with words into the folders."
        )
    return column
