"""Finds pictures, or films, in folders: which are of which split and class. No picture is opened here."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dlcli.data.dataset import Array, ClassNames
from dlcli.data.image_decoding import SUFFIXES
from dlcli.errors import DataError

_SPLITS = {
    "train": ("train", "training"), "test": ("test", "testing"), "validation": ("validation", "val", "valid"),
}  # fmt: skip
# What programs leave behind that look at folders.
_DEBRIS = frozenset({"thumbs.db", "desktop.ini", "__macosx", "@eadir"})
_FEW = 5


@dataclass(frozen=True)
class Sort:
    """What is looked for.

    Attributes:
        one: what one of them is called.
        below: finds all in a folder and the folders in it; its second argument is given what is none.
        kinds: which there are, for a person.
        instead: another way to say of which class each is.
    """

    one: str
    below: Callable[[Path, list[Path]], list[Path]]
    kinds: str
    instead: str


@dataclass(frozen=True)
class Listed:
    """The pictures of one split.

    Attributes:
        paths: their files.
        targets: what is asked for: class numbers, int32, or numbers, float32; shape (n,).
    """

    paths: list[Path]
    targets: Array


@dataclass(frozen=True)
class Listing:
    """All pictures of a source.

    Attributes:
        splits: by name: `train`, and `test` and `validation` where there are such.
        classes: in the order of their numbers; None for a regression.
    """

    splits: Mapping[str, Listed]
    classes: ClassNames

    @property
    def every(self) -> list[Path]:
        """The files of all splits."""
        return [path for listed in self.splits.values() for path in listed.paths]


@dataclass
class _LeftOut:
    """What is no picture by its name, or stands beside the folders of classes."""

    files: list[Path] = field(default_factory=list)
    beside: list[Path] = field(default_factory=list)

    def tell(self, notify: Callable[[str], None], sort: Sort) -> None:
        if self.files:
            notify(f"{_counted(self.files)} no {sort.one} by the name, and left out.")
        if self.beside:
            notify(f"{_counted(self.beside)} not in a folder of a class, and left out.")


def _counted(paths: Sequence[Path]) -> str:
    if len(paths) == 1:
        return f"{paths[0]} is"
    return f"{len(paths):,} files, such as {paths[0]}, are"


def pictures_below(folder: Path, left_out: list[Path] | None = None) -> list[Path]:
    """The pictures in a folder and the folders in it, in the order of their names; hidden files are passed over.

    Args:
        folder: the folder; links are followed.
        left_out: is given what is no picture by its name.

    Raises:
        DataError: a folder cannot be read, or is in itself.
    """
    found: list[Path] = []
    _walk(folder, found, [] if left_out is None else left_out, frozenset())
    return found


def _walk(folder: Path, found: list[Path], left_out: list[Path], above: frozenset[tuple[int, int]]) -> None:
    entries, status = entries_of(folder), folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        message = f"{folder} is a link to a folder that it is in itself: whoever follows it never comes to an end."
        raise DataError(message, "Remove the link.")
    for entry in entries:
        path = Path(entry.path)
        if is_folder(entry):
            _walk(path, found, left_out, above | {here})
        else:
            (found if path.suffix.lower() in SUFFIXES else left_out).append(path)


def entries_of(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, in the order of the names, but for what is hidden. Raises DataError."""
    try:
        with os.scandir(folder) as found:
            entries = [entry for entry in found if not _is_hidden(entry.name)]
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}.") from error
    return sorted(entries, key=lambda entry: entry.name)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _DEBRIS


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is one, or a link to one. Raises DataError."""
    try:
        return entry.is_dir()
    except OSError as error:
        raise DataError(f"{entry.path} cannot be followed: {error.strerror}.", "Remove the link.") from error


PICTURES = Sort(
    "image",
    pictures_below,
    ", ".join(SUFFIXES),
    "; or name their classes in a table, as in `images: {path: labels.csv, target: class}`",
)


def list_folders(
    root: Path,
    test: Path | None,
    classes: ClassNames,
    notify: Callable[[str], None],
    sort: Sort = PICTURES,
    *,
    with_classes: bool,
) -> Listing:
    """The pictures of a folder that has a folder for each class, or folders of splits with such in them.

    Args:
        root: the folder.
        test: that of the test set, where it is named.
        classes: those of a trained model; None to take those that there are.
        notify: is told what is left out.
        sort: what is looked for: pictures, or films.
        with_classes: whether there are folders of classes; otherwise all pictures are taken, with 0 for a target.

    Raises:
        DataError: it is not so.
    """
    left_out = _LeftOut()
    folders = folders_of_splits(root, left_out.beside)
    if test is not None:
        folders["test"] = test
    if not with_classes:
        splits = {name: _all_in(folder, left_out, sort) for name, folder in folders.items()}
        left_out.tell(notify, sort)
        return Listing(splits, None)
    known = classes if classes is not None else _classes_of(folders["train"], sort)
    splits = {name: _by_class(folder, known, left_out, sort) for name, folder in folders.items()}
    left_out.tell(notify, sort)
    return Listing(splits, known)


def folders_of_splits(root: Path, left_out: list[Path] | None = None) -> dict[str, Path]:
    """The folder of each split; of the training images only, if the folder itself has those of the classes.

    `left_out` is given what stands beside them. Raises DataError.
    """
    inner = _inner(root)
    found: dict[str, Path] = {}
    for name, words in _SPLITS.items():
        so_named = [folder for folder in inner if folder.name.lower() in words]
        if len(so_named) > 1:
            both = " and ".join(folder.name for folder in so_named[:2])
            raise DataError(f"{root} has {both}, which mean the same.", "Put the images of one into the other.")
        if so_named:
            found[name] = so_named[0]
    if "train" not in found or len(found) == 1:
        return {"train": root}
    if left_out is not None:
        left_out += [Path(entry.path) for entry in entries_of(root) if Path(entry.path) not in found.values()]
    return found


def _inner(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in entries_of(folder) if is_folder(entry)]


def _classes_of(folder: Path, sort: Sort) -> tuple[str, ...]:
    classes = tuple(inner.name for inner in _inner(folder))
    if not classes:
        raise _no_classes(folder, sort)
    if len(classes) == 1:
        message = f"{folder} has the folder of one class only, {classes[0]}: there is nothing to tell apart."
        raise DataError(message, f"Add a folder with {sort.one}s of what is not of that class.")
    return classes


def _no_classes(folder: Path, sort: Sort) -> DataError:
    count = len(sort.below(folder, []))
    message = f"{folder} has no folders of classes" + (f", but {count:,} {sort.one}s of none." if count else ".")
    return DataError(message, f"Put the {sort.one}s of each class into a folder with its name{sort.instead}.")


def _by_class(folder: Path, classes: Collection[str], left_out: _LeftOut, sort: Sort) -> Listed:
    """The pictures of one split, class by class."""
    numbers = {name: number for number, name in enumerate(classes)}
    inner = _inner(folder)
    if not inner:
        raise _no_classes(folder, sort)
    unknown = [each.name for each in inner if each.name not in numbers]
    if unknown:
        few = ", ".join(unknown[:_FEW]) + (" …" if len(unknown) > _FEW else "")
        known = ", ".join(list(numbers)[:10]) + (" …" if len(numbers) > 10 else "")
        message = f"{folder} has folders of classes that are not in the training data: {few}. Known are: {known}."
        raise DataError(message, "Name the folders as for training, or remove them.")
    left_out.beside += [Path(entry.path) for entry in entries_of(folder) if not is_folder(entry)]
    paths: list[Path] = []
    targets: list[int] = []
    for each in sorted(inner, key=lambda each: numbers[each.name]):
        of_class = sort.below(each, left_out.files)
        if not of_class:
            raise DataError(f"{each} has no {sort.one}s.", f"Put some into it ({sort.kinds}), or remove it.")
        paths += of_class
        targets += [numbers[each.name]] * len(of_class)
    return Listed(paths, np.array(targets, np.int32))


def _all_in(folder: Path, left_out: _LeftOut, sort: Sort) -> Listed:
    paths = sort.below(folder, left_out.files)
    if not paths:
        raise DataError(f"{folder} has no {sort.one}s.", f"Put some into it ({sort.kinds}).")
    return Listed(paths, np.zeros(len(paths), np.float32))
