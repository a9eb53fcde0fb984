"""The examples of an `images` source: pictures found in folders or named in a table, each as bytes of one form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from dlcli.data.dataset import Dataset, Examples, named
from dlcli.data.finding import find_all
from dlcli.data.fingerprint import fingerprint_of
from dlcli.data.image_decoding import SUFFIXES, Appearance, Form, UnreadableError, appearance, set_up
from dlcli.data.image_folders import Listed, Listing, list_folders
from dlcli.data.image_reader import ImageReader, Read, check_memory, in_parts, read_pictures, unreadable_error
from dlcli.data.splits import Splits, split_as_written
from dlcli.data.where import Where
from dlcli.errors import DataError, Problem
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.sources_images import VALIDATION_FOLDER, Images

_SKIP = "Replace or remove it; or write `corrupt: skip` in `images`, and such files are left out."
_MOST_NAMED = 20


def load_images(
    loaded: LoadedSpec, source: Images, where: Where, folders: Sequence[Path], reader: ImageReader | None
) -> tuple[Dataset, Splits]:
    """The examples of pictures, split.

    Args:
        loaded: the spec.
        source: its source.
        where: who is told what a person must know.
        folders: where its files may be.
        reader: what made bytes of pictures in training; None to look at these for it.

    Raises:
        DataError: there are none, one cannot be read, or they are not what they should be.
        SpecError: the source says something that cannot be.
    """
    dataset = loaded.once("dataset", lambda: _read(loaded, source, where, folders, reader))
    return dataset, split_as_written(loaded, dataset)


def _read(
    loaded: LoadedSpec, source: Images, where: Where, folders: Sequence[Path], reader: ImageReader | None
) -> Dataset:
    origin = _find_one(source.path, folders)
    set_up()
    listing, is_text = _listing(loaded, source, origin, where, folders, reader)
    listing = _without_unused(listing, loaded, origin, where)
    every = [path for listed in listing.splits.values() for path in listed.paths]
    is_exact = reader is None and source.size is None
    form = reader.form if reader is not None else _form(source, every)
    reader = reader or ImageReader(form, listing.classes, is_text)
    check_memory(len(every), form)
    examples = {
        name: _examples(source, listed, reader, where, is_exact=is_exact) for name, listed in listing.splits.items()
    }
    _check_classes(examples["train"], listing, origin)
    train, test, validation = examples["train"], examples.get("test"), examples.get("validation")
    return Dataset(
        source.name, source.kind, train, test, listing.classes, None, str(origin),
        fingerprint_of(train, test, validation), reader=reader, validation=validation,
    )  # fmt: skip


def _without_unused(listing: Listing, loaded: LoadedSpec, origin: Path, where: Where) -> Listing:
    """Without the images for validation, if the spec has others for that."""
    held_out = listing.splits.get("validation")
    if held_out is None or loaded.spec.dataset.validation == VALIDATION_FOLDER:
        return listing
    count = f"{len(held_out.paths):,} images for validation"
    where.notify(f"{origin} has a folder of {count}, which is not used: `validation: folder` uses it.")
    return replace(listing, splits={name: each for name, each in listing.splits.items() if each is not held_out})


def _find_one(name: str, folders: Sequence[Path]) -> Path:
    [found, *others] = find_all([name], folders)
    if others:
        message = f"{name} means {len(others) + 1} folders or files: {found}, {others[0]}" + (" …" * (len(others) > 1))
        raise DataError(f"{message}.", "Name one folder, which may have folders in it, or one table.")
    return found


def _listing(
    loaded: LoadedSpec,
    source: Images,
    origin: Path,
    where: Where,
    folders: Sequence[Path],
    reader: ImageReader | None,
) -> tuple[Listing, bool]:
    """What pictures there are, and whether their classes are texts as written in a table."""
    test = _find_one(source.test_path, folders) if source.test_path is not None else None
    if origin.is_dir():
        _refuse_words_of_tables(loaded, source, origin)
        if test is not None and not test.is_dir():
            raise DataError(f"{origin} is a folder, but {test} is none.", "Both must be folders, or both tables.")
        classes = reader.classes if reader is not None else None
        with_classes = loaded.spec.dataset.labels != "input"
        return list_folders(origin, test, classes, where.notify, with_classes=with_classes), True
    if origin.suffix.lower() in SUFFIXES:
        raise DataError(f"{origin} is a single image.", "Name the folder that has a folder for each class in it.")

    from dlcli.data.image_tables import list_tables  # it imports pandas

    base = _find_one(source.folder, folders) if source.folder is not None else None
    return list_tables(loaded, source, [origin, *([test] if test is not None else [])], base, where, reader)


def _refuse_words_of_tables(loaded: LoadedSpec, source: Images, origin: Path) -> None:
    for word in ("target", "image", "folder"):
        if getattr(source, word) is not None:
            message = f"`{word}` is for a table of images, but {origin} is a folder: its folders are the classes."
            raise loaded.error(Problem(message, ("dataset", "source", "images", word), at_key=True))


def _form(source: Images, paths: Sequence[Path]) -> Form:
    """What every picture becomes: as the spec says, or as they all are."""
    if source.size is not None and source.color is not None:
        return Form(source.size, source.color, source.fit)
    first = _first_appearance(paths)
    color = source.color or ("grayscale" if first.is_grey and _all_grey(paths) else "rgb")
    return Form(source.size or first.size, color, source.fit)


def _first_appearance(paths: Sequence[Path]) -> Appearance:
    unreadable: dict[int, str] = {}
    for row, path in enumerate(paths):
        try:
            return appearance(path)
        except UnreadableError as error:
            unreadable[row] = str(error)
    raise unreadable_error(paths, unreadable, "None of the files is an image.")


def _all_grey(paths: Sequence[Path]) -> bool:
    coloured: list[Path] = []

    def look(start: int, end: int) -> None:
        for path in paths[start:end]:
            if coloured:
                return
            try:
                if not appearance(path).is_grey:
                    coloured.append(path)
            except UnreadableError:
                continue  # told when it is read

    for _ in in_parts(len(paths), look):
        pass
    return not coloured


def _examples(source: Images, listed: Listed, reader: ImageReader, where: Where, *, is_exact: bool) -> Examples:
    """The pictures of one split, without those that cannot be read, if they may be left out."""
    read = read_pictures(listed.paths, reader.form, where.progressed, is_exact=is_exact)
    if read.unreadable and source.corrupt == "error":
        raise unreadable_error(listed.paths, read.unreadable, _SKIP)
    if not len(read.rows):
        raise unreadable_error(listed.paths, read.unreadable, "No image is left.")
    if read.unreadable:
        _tell_of_skipped(listed.paths, read, where.notify)
    return Examples(read.images, listed.targets[read.rows])


def _tell_of_skipped(paths: Sequence[Path], read: Read, notify: Callable[[str], None]) -> None:
    each = [f"{paths[row]} ({reason})" for row, reason in list(read.unreadable.items())[:_MOST_NAMED]]
    more = "; …" if len(read.unreadable) > _MOST_NAMED else ""
    count = f"{len(read.unreadable):,} of {len(paths):,} images"
    notify(f"{count} cannot be read, and are left out: {'; '.join(each)}{more}.")


def _check_classes(train: Examples, listing: Listing, origin: Path) -> None:
    """See that a picture of each class is left, where some could not be read."""
    if listing.classes is None:
        return
    [targets] = named(train.targets).values()
    left = set(targets.tolist())
    before = set(listing.splits["train"].targets.tolist())
    if left != before:
        lost = ", ".join(listing.classes[number] for number in sorted(before - left))
        raise DataError(f"{origin} has no image that can be read of {lost}.", "Replace its images, or remove it.")
