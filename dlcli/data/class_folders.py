"""Finds files in folders of classes: which are of which split and class, what is left out. None is opened here."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from dlcli.data.dataset import Array, ClassNames
from dlcli.errors import DataError
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.sources_folders import VALIDATION_FOLDER

_SPLITS = {
    "train": ("train", "training"), "test": ("test", "testing"), "validation": ("validation", "val", "valid"),
}  # fmt: skip
# What programs leave behind that look at folders.
_DEBRIS = frozenset({"thumbs.db", "desktop.ini", "__macosx", "@eadir"})
_FEW = 5


@dataclass(frozen=True)
class Sought:
    """What is looked for, and the words for it in messages.

    Attributes:
        one: what one of them is called, such as "image".
        kinds: which there are, for a person.
        below: finds all in a folder and the folders in it, in the order of their names; hidden files are passed over.
            Its second argument, if there is one, is given what is none. Raises DataError if a folder cannot be read, or
            is in itself.
        instead: what else there is, for whoever has no folders of classes.
    """

    one: str
    kinds: str
    below: Callable[[Path, list[Path] | None], list[Path]]
    instead: str = ""

    @property
    def many(self) -> str:
        """What several are called."""
        return f"{self.one}s"

    @property
    def put_some(self) -> str:
        """What to do where there is none."""
        return f"Put some into it ({self.kinds})"


def files_with(suffixes: Collection[str], one: str, instead: str = "") -> Sought:
    """Files whose names end so, in small or capital letters."""

    def below(folder: Path, left_out: list[Path] | None) -> list[Path]:
        found: list[Path] = []
        for path in _walk(folder, frozenset()):
            if path.suffix.lower() in suffixes:
                found.append(path)
            elif left_out is not None:
                left_out.append(path)
        return found

    return Sought(one, ", ".join(suffixes), below, instead)


@dataclass(frozen=True)
class Listed:
    """The files of one split.

    Attributes:
        paths: their files.
        targets: what is asked for: class numbers, int32, or numbers, float32; shape (n,).
    """

    paths: list[Path]
    targets: Array


@dataclass(frozen=True)
class Listing:
    """All files of a source.

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
    """What is not sought by its name, or stands beside the folders of classes."""

    sought: Sought
    files: list[Path] = field(default_factory=list)
    beside: list[Path] = field(default_factory=list)

    def tell(self, notify: Callable[[str], None]) -> None:
        if self.files:
            notify(f"{_counted(self.files)} no {self.sought.one} by the name, and left out.")
        if self.beside:
            notify(f"{_counted(self.beside)} not in a folder of a class, and left out.")


def _counted(paths: Sequence[Path]) -> str:
    if len(paths) == 1:
        return f"{paths[0]} is"
    return f"{len(paths):,} files, such as {paths[0]}, are"


def _walk(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    entries, status = entries_of(folder), folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        message = f"{folder} is a link to a folder that it is in itself: whoever follows it never comes to an end."
        raise DataError(message, "Remove the link.")
    for entry in entries:
        path = folder / entry.name  # half as long as taking the whole path apart again
        if is_folder(entry):
            yield from _walk(path, above | {here})
        else:
            yield path


def entries_of(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, in the order of the names, but for what is hidden."""
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


def list_folders(
    root: Path,
    sought: Sought,
    test: Path | None,
    classes: ClassNames,
    notify: Callable[[str], None],
    *,
    with_classes: bool,
) -> Listing:
    """The files of a folder that has a folder for each class, or folders of splits with such in them.

    Args:
        root: the folder.
        sought: which files.
        test: that of the test set, where it is named.
        classes: those of a trained model; None to take those that there are.
        notify: is told what is left out.
        with_classes: whether there are folders of classes; otherwise all files are taken, with 0 for a target.

    Raises:
        DataError: it is not so.
    """
    left_out = _LeftOut(sought)
    folders = folders_of_splits(root, left_out.beside)
    if test is not None:
        folders["test"] = test
    if not with_classes:
        splits = {name: _all_in(folder, left_out) for name, folder in folders.items()}
        left_out.tell(notify)
        return Listing(splits, None)
    known = classes if classes is not None else _classes_of(folders["train"], sought)
    splits = {name: _by_class(folder, known, left_out) for name, folder in folders.items()}
    left_out.tell(notify)
    return Listing(splits, known)


def without_unused(
    listing: Listing, sought: Sought, loaded: LoadedSpec, origin: Path, notify: Callable[[str], None]
) -> Listing:
    """Without the files for validation, if the spec has others for that."""
    held_out = listing.splits.get("validation")
    if held_out is None or loaded.spec.dataset.validation == VALIDATION_FOLDER:
        return listing
    count = f"{len(held_out.paths):,} {sought.many} for validation"
    notify(f"{origin} has a folder of {count}, which is not used: `validation: folder` uses it.")
    return replace(listing, splits={name: each for name, each in listing.splits.items() if each is not held_out})


def folders_of_splits(root: Path, left_out: list[Path] | None = None) -> dict[str, Path]:
    """The folder of each split; of the training files only, if the folder itself has those of the classes.

    `left_out` is given what stands beside them. Raises DataError.
    """
    inner = _inner(root)
    found: dict[str, Path] = {}
    for name, words in _SPLITS.items():
        so_named = [folder for folder in inner if folder.name.lower() in words]
        if len(so_named) > 1:
            both = " and ".join(folder.name for folder in so_named[:2])
            raise DataError(f"{root} has {both}, which mean the same.", "Put the files of one into the other.")
        if so_named:
            found[name] = so_named[0]
    # Beside folders that are no splits, `train` is a class.
    are_splits = "train" in found and (len(found) > 1 or (len(inner) == 1 and bool(_inner(found["train"]))))
    if not are_splits:
        return {"train": root}
    if left_out is not None:
        left_out += [Path(entry.path) for entry in entries_of(root) if Path(entry.path) not in found.values()]
    return found


def _inner(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in entries_of(folder) if is_folder(entry)]


def _classes_of(folder: Path, sought: Sought) -> tuple[str, ...]:
    classes = tuple(inner.name for inner in _inner(folder))
    if not classes:
        raise _no_classes(folder, sought)
    if len(classes) == 1:
        message = f"{folder} has the folder of one class only, {classes[0]}: there is nothing to tell apart."
        raise DataError(message, f"Add a folder with {sought.many} of what is not of that class.")
    return classes


def _no_classes(folder: Path, sought: Sought) -> DataError:
    count = len(sought.below(folder, None))
    message = f"{folder} has no folders of classes" + (f", but {count:,} {sought.many} of none." if count else ".")
    return DataError(message, f"Put the {sought.many} of each class into a folder with its name{sought.instead}.")


def _by_class(folder: Path, classes: Collection[str], left_out: _LeftOut) -> Listed:
    """The files of one split, class by class."""
    numbers = {name: number for number, name in enumerate(classes)}
    inner = _inner(folder)
    if not inner:
        raise _no_classes(folder, left_out.sought)
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
        of_class = left_out.sought.below(each, left_out.files)
        if not of_class:
            raise DataError(f"{each} has no {left_out.sought.many}.", f"{left_out.sought.put_some}, or remove it.")
        paths += of_class
        targets += [numbers[each.name]] * len(of_class)
    return Listed(paths, np.array(targets, np.int32))


def _all_in(folder: Path, left_out: _LeftOut) -> Listed:
    paths = left_out.sought.below(folder, left_out.files)
    if not paths:
        raise DataError(f"{folder} has no {left_out.sought.many}.", f"{left_out.sought.put_some}.")
    return Listed(paths, np.zeros(len(paths), np.float32))


def named_files(paths: Sequence[Path], sought: Sought) -> tuple[list[Path], list[str]]:
    """The files, and all that are sought in folders, with a name for each. Raises DataError."""
    files: list[Path] = []
    names: list[str] = []
    for path in paths:
        if not path.exists():
            raise DataError(f"There is no file {path}.")
        below = sought.below(path, None) if path.is_dir() else [path]
        if not below:
            raise DataError(f"{path} has no {sought.many}.", f"These are: {sought.kinds}.")
        files += below
        names += [path.name if each == path else str(each.relative_to(path)) for each in below]
    return files, names
