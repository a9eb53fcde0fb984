"""The examples of a `video` source: films found in folders of classes, some frames of each as bytes of one form."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dlcli.data.class_folders import Listed, list_folders, without_unused
from dlcli.data.dataset import Array, Dataset, Examples
from dlcli.data.finding import find_one
from dlcli.data.from_images import form_of, listed_dataset, readable
from dlcli.data.image_decoding import set_up
from dlcli.data.image_files import check_memory
from dlcli.data.image_reading import read_each
from dlcli.data.splits import Splits, split_as_written
from dlcli.data.video_files import FILMS, FilmForm, film_appearance, read_film
from dlcli.data.video_reader import VideoReader
from dlcli.data.where import Where
from dlcli.errors import DataError
from dlcli.spec.loading import LoadedSpec
from dlcli.spec.sources_images import Video


def load_videos(
    loaded: LoadedSpec, source: Video, where: Where, folders: Sequence[Path], reader: VideoReader | None
) -> tuple[Dataset, Splits]:
    """The examples of films, split.

    Args:
        loaded: the spec.
        source: its source.
        where: who is told what a person must know.
        folders: where its files may be.
        reader: what made bytes of films in training; None to look at these for it.

    Raises:
        DataError: there are none, one cannot be read, or they are not what they should be.
    """
    dataset = loaded.once("dataset", lambda: _read(loaded, source, where, folders, reader))
    return dataset, split_as_written(loaded, dataset)


def _read(
    loaded: LoadedSpec, source: Video, where: Where, folders: Sequence[Path], reader: VideoReader | None
) -> Dataset:
    origin = find_one(source.path, folders)
    test = find_one(source.test_path, folders) if source.test_path is not None else None
    for folder in (origin, *([test] if test is not None else [])):
        if not folder.is_dir():
            raise DataError(f"{folder} is no folder.", "Name the folder that has a folder for each class in it.")
    set_up()
    classes = reader.classes if reader is not None else None
    with_classes = loaded.spec.dataset.labels != "input"
    listing = list_folders(origin, FILMS, test, classes, where.notify, with_classes=with_classes)
    listing = without_unused(listing, FILMS, loaded, origin, where.notify)
    is_exact = reader is None and source.size is None
    if reader is None:
        form = form_of(source, listing.every, lambda path: film_appearance(path, source.frames), FILMS.one)
        reader = VideoReader(FilmForm(source.frames, form), listing.classes)
    wanted = reader.wanted
    check_memory(len(listing.every), wanted.form, wanted.frames)

    def read_into(path: Path, into: Array) -> None:
        into[...] = read_film(path, wanted, is_exact=is_exact)

    def examples_of(listed: Listed) -> Examples:
        read = read_each(listed.paths, wanted.shape, read_into, wanted.form, where.progressed, FILMS.one)
        return Examples(read.images, listed.targets[readable(source, listed.paths, read.unreadable, where, FILMS)])

    return listed_dataset(source, listing, origin, reader, examples_of, FILMS)
