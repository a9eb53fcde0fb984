"""Films in folders of classes in Python: some frames of each, read with Pillow as `dlcli.data` does it."""

from __future__ import annotations

from dlcli.code.pictures import form_code, loads_code
from dlcli.data.image_decoding import SUFFIXES
from dlcli.data.video_files import FILM_SUFFIXES
from dlcli.data.video_reader import VideoReader
from dlcli.errors import UsageError
from dlcli.spec.sources_images import Video

_READ = '''
FRAMES = {frames}
SUFFIXES = {suffixes}


def in_order(path):
    """For sorting: frame2 before frame10."""
    return [int(part) if at % 2 else part for at, part in enumerate(re.split(r"([0-9]+)", path.name))]


def taken(count):
    """The numbers of the frames that are taken of so many: evenly spaced ones, or all, and the last again and again."""
    if count < FRAMES:
        return [min(number, count - 1) for number in range(FRAMES)]
    return np.linspace(0, count - 1, FRAMES).round().astype(int)


def read(path):
    """The frames that are taken of a film: a folder of pictures, an array or an animation."""
    if path.is_dir():
        files = sorted((file for file in path.iterdir() if file.suffix.lower() in SUFFIXES), key=in_order)
        frames = [form(ImageOps.exif_transpose(Image.open(files[number]))) for number in taken(len(files))]
    elif path.suffix.lower() == ".npy":
        array = np.load(path)
        array = array[..., 0] if array.shape[3:] == (1,) else array
        frames = [form(Image.fromarray(array[number])) for number in taken(len(array))]
    else:
        with Image.open(path) as film:
            frames = []
            for number in taken(film.n_frames):
                film.seek(number)
                frames.append(form(film))
    return np.stack(frames).reshape({shape})


def films_below(folder):
    """The films in a folder and the folders in it; a folder that has pictures is one."""
    entries = sorted(folder.iterdir())
    if any(entry.suffix.lower() in SUFFIXES and entry.is_file() for entry in entries):
        return [folder]
    parts = [films_below(entry) if entry.is_dir() else [entry] for entry in entries]
    return [film for part in parts for film in part if film.is_dir() or film.suffix.lower() in {film_suffixes}]


def load(folder):
    """The films of a folder that has one for each class, and the numbers of their classes."""
    films, labels = [], []
    classes = sorted(path for path in Path(folder).iterdir() if path.is_dir())
    for number, inner in enumerate(classes):
        for path in films_below(inner):
            films.append(read(path))
            labels.append(number)
    return np.stack(films), np.array(labels)
'''


def films_code(source: Video, reader: VideoReader, folder: str | None) -> tuple[list[str], list[str], list[str]]:
    """Imports, functions and statements for `x_train` and `y_train`, and for the test set if there is one.

    Args:
        source: the source, known.
        reader: what its films became.
        folder: what the paths of its files are relative to.

    Raises:
        UsageError: nobody has said yet how a script does that.
    """
    if reader.classes is None:
        message = "How films without classes are read cannot be written as a script yet."
        raise UsageError(message, "With --model-only the model is written.")
    if source.corrupt == "skip":
        message = "How films that cannot be read are left out cannot be written as a script yet."
        raise UsageError(message, "With --model-only the model is written.")
    wanted = reader.wanted
    suffixes = " ".join(suffix for suffix in SUFFIXES if suffix not in FILM_SUFFIXES)
    read = _READ.format(
        frames=wanted.frames, suffixes=f"{suffixes!r}.split()", shape=wanted.shape, film_suffixes=FILM_SUFFIXES
    )
    imports = ["import re", "from pathlib import Path", "import numpy as np", "from PIL import Image, ImageOps"]
    functions = [form_code(wanted.form, is_fitted=source.size is not None), read]
    return imports, functions, loads_code(source, folder)
