"""The examples of an `images` source: pictures found in folders or named in a table, each as bytes of one form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from dlcli.data.class_folders import Listed, Listing, Sought, list_folders, without_unused
from dlcli.data.dataset import Array, Dataset, Examples, Reader, named
from dlcli.data.finding import find_one
from dlcli.data.fingerprint import fingerprint_of
from dlcli.data.image_decoding import SUFFIXES, Appearance, Form, UnreadableError, appearance, set_up
from dlcli.data.image_files import Pictures as PicturesInFiles
from dlcli.data.image_files import check_memory, fit_into_memory, told_of
from dlcli.data.image_reader import PICTURES, ImageReader
from dlcli.data.image_reading import (
    in_parts,
    look_at_pictures,
    read_pictures,
    rows_left,
    skip_hint,
    unreadable_error,
    verify_pictures,
)
from dlcli.data.splits import Splits, split_as_written
from dlcli.data.where import Where
from dlcli.errors import DataError, Problem
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.sources_images import Images, Pictures

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
    origin = find_one(source.path, folders)
    set_up()
    listing, is_text = _listing(loaded, source, origin, where, folders, reader)
    listing = without_unused(listing, PICTURES, loaded, origin, where.notify)
    is_exact = reader is None and source.size is None
    form = reader.form if reader is not None else form_of(source, listing.every, appearance)
    in_files = _stay_in_files(source, reader, len(listing.every), form, where)
    reader = reader or ImageReader(form, listing.classes, is_text, in_files)

    def examples_of(listed: Listed) -> Examples:
        return _examples(source, listed, form, where, is_exact=is_exact, in_files=in_files)

    return listed_dataset(source, listing, origin, reader, examples_of)


def listed_dataset(
    source: Pictures,
    listing: Listing,
    origin: Path,
    reader: Reader,
    examples_of: Callable[[Listed], Examples],
    sought: Sought = PICTURES,
) -> Dataset:
    """The examples of pictures or films that were found.

    Args:
        source: its source.
        listing: the files.
        origin: where they are.
        reader: what reads others alike.
        examples_of: reads those of one split, without those that are left out.
        sought: what they are.

    Raises:
        DataError: one cannot be read.
    """
    examples = {name: examples_of(listed) for name, listed in listing.splits.items()}
    _check_classes(examples["train"], listing, origin, sought)
    train, test, validation = examples["train"], examples.get("test"), examples.get("validation")
    return Dataset(
        source.name, source.kind, train, test, listing.classes, None, str(origin),
        fingerprint_of(train, test, validation), reader=reader, validation=validation,
    )  # fmt: skip


def _listing(
    loaded: LoadedSpec,
    source: Images,
    origin: Path,
    where: Where,
    folders: Sequence[Path],
    reader: ImageReader | None,
) -> tuple[Listing, bool]:
    """What pictures there are, and whether their classes are texts as written in a table."""
    test = find_one(source.test_path, folders) if source.test_path is not None else None
    if origin.is_dir():
        _refuse_words_of_tables(loaded, source, origin)
        if test is not None and not test.is_dir():
            raise DataError(f"{origin} is a folder, but {test} is none.", "Both must be folders, or both tables.")
        classes = reader.classes if reader is not None else None
        with_classes = loaded.spec.dataset.labels != "input"
        return list_folders(origin, PICTURES, test, classes, where.notify, with_classes=with_classes), True
    if origin.suffix.lower() in SUFFIXES:
        raise DataError(f"{origin} is a single image.", "Name the folder that has a folder for each class in it.")

    from dlcli.data.image_tables import list_tables  # it imports pandas

    base = find_one(source.folder, folders) if source.folder is not None else None
    return list_tables(loaded, source, [origin, *([test] if test is not None else [])], base, where, reader)


def _refuse_words_of_tables(loaded: LoadedSpec, source: Images, origin: Path) -> None:
    for word in ("target", "image", "folder"):
        if getattr(source, word) is not None:
            message = f"`{word}` is for a table of images, but {origin} is a folder: its folders are the classes."
            raise loaded.error(Problem(message, ("dataset", "source", "images", word), at_key=True))


Look: TypeAlias = Callable[[Path], Appearance]
"""how a picture or a film looks; raises UnreadableError"""


def form_of(source: Pictures, paths: Sequence[Path], look: Look, one: str = "image") -> Form:
    """What every picture becomes: as the spec says, or as they all are. Raises DataError."""
    if source.size is not None and source.color is not None:
        return Form(source.size, source.color, source.fit)
    first = _first_appearance(paths, look, one)
    color = source.color or ("grayscale" if first.is_grey and _all_grey(paths, look) else "rgb")
    return Form(source.size or first.size, color, source.fit)


def _first_appearance(paths: Sequence[Path], look: Look, one: str) -> Appearance:
    unreadable: dict[int, str] = {}
    for row, path in enumerate(paths):
        try:
            return look(path)
        except UnreadableError as error:
            unreadable[row] = str(error)
    hint = f"None of the files is {'an image' if one == 'image' else f'a {one}'}."
    raise unreadable_error(paths, unreadable, hint, one)


def _all_grey(paths: Sequence[Path], look: Look) -> bool:
    coloured: list[Path] = []

    def look_at(start: int, end: int) -> None:
        for path in paths[start:end]:
            if coloured:
                return
            try:
                if not look(path).is_grey:
                    coloured.append(path)
            except UnreadableError:
                continue  # told when it is read

    for _ in in_parts(len(paths), look_at):
        pass
    return not coloured


def _stay_in_files(source: Images, reader: ImageReader | None, count: int, form: Form, where: Where) -> bool:
    """Whether the pictures stay in their files: as in training or as the spec says, or else if they do not fit."""
    if where.only_looks or (reader is not None and reader.in_files):
        return True
    if reader is None and source.stream is not None:
        if not source.stream:
            check_memory(count, form)
        return source.stream
    if fit_into_memory(count, form):
        return False
    where.notify(told_of(count, form))
    return True


def _examples(source: Images, listed: Listed, form: Form, where: Where, *, is_exact: bool, in_files: bool) -> Examples:
    """The pictures of one split, without those that cannot be read, if they may be left out."""
    paths, skips = listed.paths, source.corrupt == "skip"
    inputs: Any
    if source.cache and not where.only_looks:
        from dlcli.data.image_cache import kept_pictures

        kept, unreadable = kept_pictures(paths, form, where, is_exact=is_exact, skips=skips)
        inputs = kept if in_files else kept.whole()
    elif in_files:
        if skips and not where.only_looks:  # an epoch must know which examples it has
            unreadable = verify_pictures(paths, form, where.progressed, is_exact=is_exact)
        else:
            unreadable = look_at_pictures(paths, form, where.progressed, is_exact=is_exact)
        left = [path for row, path in enumerate(paths) if row not in unreadable]
        inputs = PicturesInFiles(paths[0].parent, left, form)
    else:
        read = read_pictures(paths, form, where.progressed, is_exact=is_exact)
        inputs, unreadable = read.images, read.unreadable
    return Examples(inputs, listed.targets[readable(source, paths, unreadable, where, PICTURES)])


def readable(
    source: Pictures, paths: Sequence[Path], unreadable: Mapping[int, str], where: Where, sought: Sought
) -> Array:
    """The numbers of the files that can be read; a person is told of the others. Raises DataError."""
    rows = rows_left(len(paths), unreadable)
    if unreadable and source.corrupt == "error":
        raise unreadable_error(paths, unreadable, skip_hint(source.name), sought.one)
    if not len(rows):
        raise unreadable_error(paths, unreadable, f"No {sought.one} is left.", sought.one)
    if unreadable:
        _tell_of_skipped(paths, unreadable, where.notify, sought)
    return rows


def _tell_of_skipped(
    paths: Sequence[Path], unreadable: Mapping[int, str], notify: Callable[[str], None], sought: Sought
) -> None:
    each = [f"{paths[row]} ({reason})" for row, reason in list(unreadable.items())[:_MOST_NAMED]]
    more = "; …" if len(unreadable) > _MOST_NAMED else ""
    count = f"{len(unreadable):,} of {len(paths):,} {sought.many}"
    notify(f"{count} cannot be read, and are left out: {'; '.join(each)}{more}.")


def _check_classes(train: Examples, listing: Listing, origin: Path, sought: Sought) -> None:
    """See that a picture of each class is left, where some could not be read."""
    if listing.classes is None:
        return
    [targets] = named(train.targets).values()
    left = set(targets.tolist())
    before = set(listing.splits["train"].targets.tolist())
    if left != before:
        lost = ", ".join(listing.classes[number] for number in sorted(before - left))
        message = f"{origin} has no {sought.one} that can be read of {lost}."
        raise DataError(message, f"Replace its {sought.many}, or remove it.")
