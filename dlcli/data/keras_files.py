"""Reading the image sets that Keras knows from the files they come in: npz, idx, and folders of pictures.

CIFAR's pickled batches are in `dlcli.data.cifar_batches`; where files are looked for is in `dlcli.data.keras_cache`.
Everything read is checked, and nothing that is read can run code.
"""

from __future__ import annotations

import gzip
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlcli.data.aligned import empty
from dlcli.data.dataset import Array, Examples
from dlcli.errors import DataError

TrainAndTest = tuple[Examples, Examples]
IDX_FILES = (
    ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
)
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")
REPLACE = "Replace it by an undamaged copy; or move it away, and it is looked for elsewhere and downloaded."
_READING_ERRORS = (
    OSError, EOFError, ValueError, KeyError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error, struct.error
)  # fmt: skip
_CHUNK = 1 << 20  # bytes decompressed at a time, so that no second whole copy of a file is ever held


@dataclass(frozen=True)
class ImageSet:
    """What is known of an image set before a file is opened.

    Attributes:
        name: its name in the grammar.
        shape: of one image, channels last.
        class_names: in the order of the class numbers.
        size: how many images it has, training and test together.
    """

    name: str
    shape: tuple[int, ...]
    class_names: tuple[str, ...]
    size: int


def checked(images: object, labels: object, *, image_set: ImageSet, where: Path | str) -> Examples:
    """Images and labels as examples, after a look at their types, shapes and range; images are not copied.

    Args:
        images: what should be bytes of shape (n, *image_set.shape).
        labels: what should be whole numbers of shape (n,) or (n, 1), each the number of a class.
        image_set: what is expected.
        where: the file, for the message.

    Raises:
        DataError: something is not what it should be.
    """
    wanted = f"uint8 of shape (n, {', '.join(map(str, image_set.shape))})"
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != image_set.shape:
        raise DataError(f"{where}: the images should be {wanted}, but are {described(images)}.", REPLACE)
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu" or labels.ndim not in (1, 2):
        raise DataError(f"{where}: the labels should be whole numbers (n,), but are {described(labels)}.", REPLACE)
    if len(images) != labels.size or len(images) == 0:
        raise DataError(f"{where}: there are {len(images)} images and {labels.size} labels.", REPLACE)
    last = len(image_set.class_names) - 1
    if labels.min() < 0 or labels.max() > last:
        raise DataError(
            f"{where}: the labels should be 0 to {last}, but go from {labels.min()} to {labels.max()}.", REPLACE
        )
    return Examples(np.ascontiguousarray(images), labels.reshape(-1).astype(np.int32))


def read_npz(path: Path, image_set: ImageSet) -> TrainAndTest:
    """Read an archive of x_train, y_train, x_test and y_test, as Keras's `mnist.npz` is.

    Any archive of that form is taken, whatever its checksum. Nothing is unpickled.

    Raises:
        DataError: the archive is damaged, an array is missing, or one is not what it should be.
    """
    # opened here, because np.load leaves the file open where it finds it damaged
    with damage(path), path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
        keys = list(archive.files) if isinstance(archive, np.lib.npyio.NpzFile) else []
        missing = [key for key in ("x_train", "y_train", "x_test", "y_test") if key not in keys]
        if missing:
            raise DataError(
                f"{path} has no {', '.join(missing)}; it has {', '.join(keys) or 'no named arrays'}.",
                "The file needs the arrays x_train, y_train, x_test and y_test.",
            )
        train = checked(archive["x_train"], archive["y_train"], image_set=image_set, where=f"{path}, train")
        test = checked(archive["x_test"], archive["y_test"], image_set=image_set, where=f"{path}, test")
    return train, test


def read_idx_files(marker: Path, image_set: ImageSet) -> TrainAndTest:
    """Read the four idx files of MNIST's and Fashion-MNIST's first publication, from the folder of `marker`.

    Raises:
        DataError: a file is missing, damaged, or not what it should be.
    """
    folder = marker.parent
    missing = [name for pair in IDX_FILES for name in pair if not (folder / name).is_file()]
    if missing:
        raise DataError(f"{folder} has {marker.name}, but no {', '.join(missing)}.", f"Put {missing[0]} beside it.")
    train, test = (
        checked(_idx(folder / images), _idx(folder / labels), image_set=image_set, where=folder / images)
        for images, labels in IDX_FILES
    )
    return train, test


def _idx(path: Path) -> Array:
    """The bytes of one gzipped idx file in their shape (format: the foot of http://yann.lecun.com/exdb/mnist/)."""
    with damage(path), gzip.open(path, "rb") as stream:
        zeros, kind, dimensions = struct.unpack(">HBB", stream.read(4))
        if zeros != 0 or kind != 8:
            raise DataError(f"{path} is not an idx file of bytes: it starts with {zeros}, {kind}.", REPLACE)
        array = empty(struct.unpack(f">{dimensions}I", stream.read(4 * dimensions)), np.uint8)
        flat = array.reshape(-1)
        for start in range(0, flat.size, _CHUNK):
            content = stream.read(min(_CHUNK, flat.size - start))
            if len(content) < min(_CHUNK, flat.size - start):
                end = start + len(content)
                raise DataError(f"{path} ends after {end} of the {flat.size} bytes that it says it has.", REPLACE)
            flat[start : start + len(content)] = np.frombuffer(content, dtype=np.uint8)
        if stream.read(1):  # reaching the end also compares gzip's checksum
            raise DataError(f"{path} is longer than the {flat.size} bytes that it says it has.", REPLACE)
    return array


def read_class_folders(marker: Path, image_set: ImageSet) -> TrainAndTest:
    """Read `train/<class>/*.jpg` and `test/<class>/*.jpg` (or png) beside `marker`; any number of pictures a class.

    Raises:
        DataError: a folder is missing or not named like a class, or a picture is unreadable or has another size.
    """
    root = marker.parent
    with damage(root):
        train, test = (_pictures(root / part, image_set) for part in ("train", "test"))
    return train, test


def _pictures(folder: Path, image_set: ImageSet) -> Examples:
    """The pictures of one split, class by class, each class in the order of the file names."""
    from PIL import Image

    files = _picture_files(folder, image_set)
    height, width, _ = image_set.shape
    images = empty((len(files), *image_set.shape), np.uint8)
    for row, (path, _) in enumerate(files):
        try:
            with Image.open(path, formats=("JPEG", "PNG")) as picture:
                if picture.size != (width, height):
                    size = f"{picture.size[0]}×{picture.size[1]}"
                    raise DataError(f"{path} is {size} pixels, not {width}×{height}.", "Replace or remove it.")
                images[row] = np.asarray(picture.convert("RGB"))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(f"{path} is not a readable picture: {error}.", "Replace or remove it.") from error
    return checked(images, np.array([label for _, label in files]), image_set=image_set, where=folder)


def _picture_files(folder: Path, image_set: ImageSet) -> list[tuple[Path, int]]:
    """The pictures under `folder` with their class numbers; names that start with a dot are passed over."""
    if not folder.is_dir():
        raise DataError(f"{folder} is missing: {image_set.name} needs train and test.", "Add the folder.")
    found = {path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")}
    odd = sorted(found.symmetric_difference(image_set.class_names))
    if odd:
        raise DataError(
            f"{folder} should have one folder for each class of {image_set.name}, but these are missing or unknown: "
            f"{', '.join(odd)}.",
            f"The classes are {', '.join(image_set.class_names)}.",
        )
    files: list[tuple[Path, int]] = []
    for number, name in enumerate(image_set.class_names):
        of_class = [path for path in sorted((folder / name).iterdir()) if _is_picture(path)]
        if not of_class:
            raise DataError(f"{folder / name} has no pictures ({', '.join(PICTURE_SUFFIXES)}).", "Add some.")
        files.extend((path, number) for path in of_class)
    return files


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """Turn what numpy, zipfile and gzip raise about a damaged file into a DataError that names it."""
    try:
        yield
    except _READING_ERRORS as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"{path} is damaged or cannot be read: {reason}.", REPLACE) from error


def described(value: object) -> str:
    """What `value` is, for a message that says what was received."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return f"a {type(value).__name__}"
