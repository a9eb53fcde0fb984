"""The sets that Keras knows whose examples are numbers: words of imdb and reuters, measurements of california_housing.

They are read, ordered and divided as by `keras.datasets` (3.15.1), to the number; nothing that is read can run code.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.aligned import empty
from dlcli.data.dataset import Array, Dataset, Examples
from dlcli.data.fingerprint import fingerprint_of
from dlcli.data.keras_cache import Reach, data_folders, exists, located
from dlcli.data.keras_files import REPLACE, damage, described
from dlcli.data.pickles import PickledArray, read_pickle
from dlcli.errors import DataError
from dlcli.spec.sources_keras import CaliforniaHousing, Imdb, NumberedTexts, Reuters, divided

_LARGEST = 1 << 29  # bytes of one array; the largest of imdb has 14 million
_MOST = 2**31 - 1  # of int32
_TOPICS = """
    cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves ship cotton carcass crude
    nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin strategic-metal livestock retail ipi iron-steel
    rubber heat jobs lei bop zinc orange pet-chem dlr gas silver wpi hog lead
"""
_CLASSES = {"imdb": ("negative", "positive"), "reuters": tuple(_TOPICS.split())}
_FEATURES = ("MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup", "Latitude", "Longitude")
_WHERE = "https://keras.io/api/datasets/"

Texts = tuple[list[Array], Array]
"""the numbers of the words of each text, and the number of its class"""


def load_texts(source: NumberedTexts, reach: Reach) -> Dataset:
    """The texts of imdb or reuters.

    Returns:
        The numbers of words, int32 of shape (n, length), texts of fewer words with 0 in front; class numbers as int32.

    Raises:
        UnreachableError: they are in no folder and cannot be downloaded.
        DataError: the file is damaged, is not what it should be, or asks to run something; or no text is left.
    """
    path, _ = located(source.name, [(f"{source.name}.npz", None)], reach)
    train, test = _imdb(source, path) if isinstance(source, Imdb) else _reuters(source, path)
    if not train[0] or not test[0]:
        side = "for training" if not train[0] else "in the test set"
        left = f" of fewer than {source.maxlen} words" if source.maxlen is not None else ""
        raise DataError(f"{path} has no text{left} {side}.", "Ask for a larger `maxlen`." if left else REPLACE)
    largest = max((int(row.max()) for row in (*train[0], *test[0]) if len(row)), default=0)
    limit = source.num_words or largest  # so that Keras leaves the largest out
    train_set, test_set = (Examples(_padded(rows, source, limit), labels) for rows, labels in (train, test))
    origin = _told(source, path, len(train_set), len(test_set), reach)
    return Dataset(
        source.name, source.kind, train_set, test_set, _CLASSES[source.name], None, origin,
        fingerprint_of(train_set, test_set),
    )  # fmt: skip


def _told(source: NumberedTexts | CaliforniaHousing, path: Path, train: int, test: int, reach: Reach) -> str:
    """Where the examples came from; and whoever listens is told if the file has not all of them."""
    known = source.examples
    if known is None or sum(known) == train + test:
        return str(path)
    count = f"{train + test:,} of the {sum(known):,} examples"
    reach.notify(f"{source.name}: {path} has {count} ({train:,} for training, {test:,} for test).")
    return f"{path} ({count})"


def _imdb(source: NumberedTexts, path: Path) -> tuple[Texts, Texts]:
    classes = len(_CLASSES[source.name])
    random = np.random.RandomState(source.seed)
    with damage(path), zipfile.ZipFile(path) as archive:
        parts = [_texts(archive, path, f"x_{part}", f"y_{part}", classes) for part in ("train", "test")]
    train, test = (_kept(_ordered(part, random), source) for part in parts)
    return train, test


def _reuters(source: NumberedTexts, path: Path) -> tuple[Texts, Texts]:
    if not isinstance(source, Reuters):
        raise TypeError(f"{source.name} is not divided by a share.")
    with damage(path), zipfile.ZipFile(path) as archive:
        every = _texts(archive, path, "x", "y", len(_CLASSES[source.name]))
    rows, labels = _kept(_ordered(every, np.random.RandomState(source.seed)), source)
    train, _ = divided(len(rows), source.test_split)
    return (rows[:train], labels[:train]), (rows[train:], labels[train:])


def _ordered(texts: Texts, random: np.random.RandomState) -> Texts:
    rows, labels = texts
    order = np.arange(len(rows))
    random.shuffle(order)
    return [rows[place] for place in order], labels[order]


def _kept(texts: Texts, source: NumberedTexts) -> Texts:
    """With what each text begins with, and without those that are too long."""
    first = np.asarray([] if source.start_char is None else [source.start_char], np.int64)
    rows = [np.concatenate([first, row + source.index_from]) for row in texts[0]]
    chosen = [at for at, row in enumerate(rows) if source.maxlen is None or len(row) < source.maxlen]
    return [rows[at] for at in chosen], texts[1][chosen]


def _padded(rows: Sequence[Array], source: NumberedTexts, limit: int) -> Array:
    """Each text with only those words that stay, cut off or filled up in front."""
    result = empty((len(rows), source.length), np.int32)
    result[...] = 0
    for place, row in enumerate(rows):
        stays = (row >= source.skip_top) & (row < limit)
        numbers = row[stays] if source.oov_char is None else np.where(stays, row, source.oov_char)
        last = numbers[-source.length :]
        result[place, source.length - len(last) :] = last
    return result


def _texts(archive: zipfile.ZipFile, path: Path, texts: str, labels: str, classes: int) -> Texts:
    """The texts of an archive, as they are in it."""
    rows = [_whole_numbers(row, f"{path}, {texts}") for row in _items(_member(archive, path, texts), path, texts)]
    numbers = _member(archive, path, labels)
    where = f"{path}, {labels}"
    if not isinstance(numbers, np.ndarray) or numbers.dtype.kind not in "iu" or numbers.ndim != 1:
        raise DataError(f"{where}: the labels should be whole numbers (n,), but are {described(numbers)}.", REPLACE)
    if len(numbers) != len(rows) or not len(rows):
        raise DataError(f"{path}: there are {len(rows)} texts and {len(numbers)} labels.", REPLACE)
    if numbers.min() < 0 or numbers.max() >= classes:
        found = f"go from {numbers.min()} to {numbers.max()}"
        raise DataError(f"{where}: the labels should be 0 to {classes - 1}, but {found}.", REPLACE)
    return rows, numbers.astype(np.int32)


def _member(archive: zipfile.ZipFile, path: Path, name: str) -> Any:
    """An array of numbers, or what a pickle says of one of lists."""
    where = f"{path}, {name}"
    if f"{name}.npy" not in archive.namelist():
        raise DataError(f"{path} has no {name}; it has {', '.join(archive.namelist()) or 'nothing'}.", REPLACE)
    if archive.getinfo(f"{name}.npy").file_size > _LARGEST:
        raise DataError(f"{where} is far larger than it should be.", REPLACE)
    with archive.open(f"{name}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
        if dtype == np.dtype(object):
            found = read_pickle(stream, where=where, what="a list of texts", again=_WHERE)
            if isinstance(found, PickledArray) and found.shape == shape:
                return found
            raise DataError(f"{where} is damaged: it has no array of the shape {shape}.", REPLACE)
    with archive.open(f"{name}.npy") as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _items(member: Any, path: Path, name: str) -> Iterator[Any]:
    """The texts of an array of lists; or of one of numbers, where all are of the same length."""
    items = member.items() if isinstance(member, PickledArray) else list(member) if member.ndim == 2 else None
    if items is None:
        raise DataError(f"{path}, {name} should be an array of lists, a text each.", REPLACE)
    # A pickle can name a list again and again at no cost.
    if sum(len(item) for item in items if isinstance(item, list)) > _LARGEST:
        raise DataError(f"{path}, {name} is far larger than it should be.", REPLACE)
    return iter(items)


def _whole_numbers(row: Any, where: str) -> Array:
    """A text as an int64 array."""
    numbers = row.numbers() if isinstance(row, PickledArray) else row
    try:
        made = np.asarray(numbers) if isinstance(numbers, (list, np.ndarray)) else None
    except (ValueError, OverflowError):  # lists in lists, of different lengths
        made = None
    if made is not None and made.ndim == 1 and (made.dtype.kind in "iu" or not len(made)):
        made = made.astype(np.int64)
        if not len(made) or (made.min() >= 0 and made.max() < _MOST // 2):
            return made
    shown = repr(numbers)[:60]
    raise DataError(f"{where}: a text should be a list of numbers from 0 on, but one is {shown}.", REPLACE)


def load_california(source: CaliforniaHousing, reach: Reach) -> Dataset:
    """The districts: float32 of shape (n, 8), and what a house costs, float32 of shape (n,).

    Raises:
        UnreachableError: they are in no folder and cannot be downloaded.
        DataError: the file is damaged or not what it should be.
    """
    path, _ = located(source.name, [(f"{source.name}.npz", None)], reach)
    with damage(path), path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
        keys = list(archive.files) if isinstance(archive, np.lib.npyio.NpzFile) else []
        if not {"x", "y"} <= set(keys):
            raise DataError(f"{path} needs the arrays x and y; it has {', '.join(keys) or 'none by name'}.", REPLACE)
        inputs, targets = archive["x"], archive["y"]
    wanted = f"numbers of the shapes (n, {len(_FEATURES)}) and (n,)"
    is_right = inputs.ndim == 2 and inputs.shape[1] == len(_FEATURES) and targets.shape == inputs.shape[:1]
    if not is_right or {inputs.dtype.kind, targets.dtype.kind} - set("fiu"):
        found = f"{described(inputs)} and {described(targets)}"
        raise DataError(f"{path}: x and y should be {wanted}, but are {found}.", REPLACE)
    count = min(len(inputs), source.totals[source.version] if source.version == "small" else len(inputs))
    inputs, targets = inputs[:count].astype(np.float32), targets[:count].astype(np.float32)
    if not np.isfinite(inputs).all() or not np.isfinite(targets).all():
        raise DataError(f"{path} has values that are missing or not finite.", REPLACE)
    train, test = divided(count, source.test_split)
    if not train or not test:
        raise DataError(f"{path} has {count} districts, which cannot be divided.", REPLACE)
    order = np.arange(count)
    np.random.RandomState(source.seed).shuffle(order)
    train_set, test_set = (Examples(inputs[rows], targets[rows]) for rows in (order[:train], order[train:]))
    origin = _told(source, path, train, test, reach)
    return Dataset(
        source.name, source.kind, train_set, test_set, None, _FEATURES, origin, fingerprint_of(train_set, test_set)
    )


def word_index(name: str, data_dir: Path | None) -> dict[int, str] | None:
    """The words of imdb or reuters by their ranks, from 1; None where their file is in no folder. Raises DataError."""
    file = f"{name}_word_index.json"
    path = next((folder / file for folder in data_folders(data_dir) if exists(folder / file)), None)
    if path is None:
        return None
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read: {error}.", REPLACE) from error
    if not isinstance(content, dict) or not all(type(number) is int for number in content.values()):
        raise DataError(f"{path} should have a number for each word.", REPLACE)
    return {number: word for word, number in content.items()}
