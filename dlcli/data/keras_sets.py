"""The image sets that Keras knows (mnist, fashion_mnist, cifar10, cifar100): where they are looked for, and downloaded.

The file formats are in `dlcli.data.keras_files` and `dlcli.data.cifar_batches`. Keras is imported for a download only.
"""

from __future__ import annotations

import os
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from dlcli.data.cifar_batches import read_batch_archive, read_batch_folder
from dlcli.data.dataset import Array, Dataset
from dlcli.data.download import KerasProgress
from dlcli.data.finding import DATA_DIR_VARIABLE
from dlcli.data.fingerprint import fingerprint_of
from dlcli.data.keras_files import (
    IDX_FILES,
    ImageSet,
    TrainAndTest,
    checked,
    read_class_folders,
    read_idx_files,
    read_npz,
)
from dlcli.errors import DataError
from dlcli.spec.source import Source

PROBE_SECONDS = 5.0  # for the whole question whether a host answers
DOWNLOAD_SECONDS = 30.0  # for each single wait for the network during a download

Notify = Callable[[str], None]


def _ignore(text: str) -> None:
    """For callers that show no progress."""


Reader = Callable[[Path, ImageSet], TrainAndTest]

_KERAS_FILES_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_CIFAR_URL = "https://www.cs.toronto.edu/~kriz/"
_CLOTHES = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
_CIFAR10_CLASSES = "airplane automobile bird cat deer dog frog horse ship truck"
_CIFAR100_CLASSES = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
"""
IMAGE_SETS = {
    image_set.name: image_set
    for image_set in (
        ImageSet("mnist", (28, 28), tuple("0123456789"), 70_000, f"{_KERAS_FILES_URL}mnist.npz", "mnist.npz"),
        ImageSet("fashion_mnist", (28, 28), tuple(_CLOTHES.split(",")), 70_000, _KERAS_FILES_URL, "fashion_mnist.npz"),
        ImageSet(
            "cifar10",
            (32, 32, 3),
            tuple(_CIFAR10_CLASSES.split()),
            60_000,
            f"{_CIFAR_URL}cifar-10-python.tar.gz",
            "cifar-10-python.tar.gz",
        ),
        ImageSet(
            "cifar100",
            (32, 32, 3),
            tuple(_CIFAR100_CLASSES.split()),
            60_000,
            f"{_CIFAR_URL}cifar-100-python.tar.gz",
            "cifar-100-python.tar.gz",
        ),
    )
}
# What to look for in each folder, in this order. Where several files make up a set, the one looked for is the one that
# a download by Keras (3.15) writes last, so that a download broken off is not taken for a set that is there.
_LAST_IDX_FILE = IDX_FILES[1][0]
_PLACES: dict[str, tuple[tuple[str, Reader], ...]] = {
    "mnist": (("mnist.npz", read_npz),),
    "fashion_mnist": (
        ("fashion_mnist.npz", read_npz),
        (f"fashion-mnist/{_LAST_IDX_FILE}", read_idx_files),
        (f"fashion_mnist/{_LAST_IDX_FILE}", read_idx_files),
    ),
    "cifar10": (
        ("cifar10.npz", read_npz),
        ("cifar-10-batches-py/data_batch_1", read_batch_folder),
        ("cifar-10-batches-py-target/cifar-10-batches-py/data_batch_1", read_batch_folder),
        ("cifar-10-python.tar.gz", read_batch_archive),
        ("cifar-10-batches-py.tar.gz", read_batch_archive),
        ("cifar10/train", read_class_folders),
    ),
    "cifar100": (
        ("cifar100.npz", read_npz),
        ("cifar-100-python/train", read_batch_folder),
        ("cifar-100-python-target/cifar-100-python/train", read_batch_folder),
        ("cifar-100-python.tar.gz", read_batch_archive),
    ),
}


class UnreachableError(DataError):
    """Data is in none of the places where it is looked for, and cannot be downloaded; a fallback may stand in."""


def load_keras_set(
    source: Source, *, data_dir: Path | None, allow_download: bool, notify: Notify, progressed: Notify = _ignore
) -> Dataset:
    """Load an image set from the first place that has it: `data_dir`, DLCLI_DATA_DIR, Keras's cache, the download.

    Returns:
        Images as bytes, (n, 28, 28) or (n, 32, 32, 3), held once; class numbers as int32.

    Raises:
        UnreachableError: it is in no folder and cannot be downloaded.
        DataError: `data_dir` is not a folder, or what was found is damaged.
    """
    image_set = IMAGE_SETS[source.name]
    folders = _folders(data_dir)
    found = _find(image_set.name, folders)
    if found is not None:
        path, read = found
        train, test = read(path, image_set)
        origin = str(path if read in (read_npz, read_batch_archive) else path.parent)
    else:
        train, test = _download(image_set, folders, allow_download=allow_download, notify=notify, progressed=progressed)
        origin = f"downloaded by Keras from {image_set.url}"
    count = len(train) + len(test)
    if count != image_set.size:
        notify(
            f"{source.name}: {origin} has {count:,} of the {image_set.size:,} images "
            f"({len(train):,} for training, {len(test):,} for test)."
        )
        origin = f"{origin} ({count:,} of the {image_set.size:,} images)"
    return Dataset(
        source=source.name,
        kind=source.kind,
        train=train,
        test=test,
        class_names=image_set.class_names,
        feature_names=None,
        origin=origin,
        fingerprint=fingerprint_of(train, test),
    )


def _folders(data_dir: Path | None) -> list[Path]:
    """The folders to look in, whether they exist or not."""
    folders = []
    if data_dir is not None:
        folder = data_dir.expanduser()
        if not folder.is_dir():
            raise DataError(f"The data folder {folder} is not a folder.", "Give --data-dir a folder that exists.")
        folders.append(folder)
    if named := os.environ.get(DATA_DIR_VARIABLE):
        folders.append(Path(named).expanduser())
    with suppress(RuntimeError):  # no home folder can be made out
        folders.append(Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "datasets")
    return folders


def _find(name: str, folders: list[Path]) -> tuple[Path, Reader] | None:
    for folder in folders:
        for place, read in _PLACES[name]:
            if _exists(folder / place):
                return folder / place, read
    return None


def _exists(path: Path) -> bool:
    """Whether `path` is there; a folder that may not be entered, as another user's home, counts as empty."""
    try:
        return path.exists()
    except OSError:
        return False


def _download(
    image_set: ImageSet, folders: list[Path], *, allow_download: bool, notify: Notify, progressed: Notify
) -> TrainAndTest:
    """Let Keras download the set into its cache and read it."""
    reason = probe(image_set.url) if allow_download else "downloading is switched off"
    if reason is not None:
        raise _unreachable(image_set, folders, reason)
    notify(f"Downloading {image_set.name} from {image_set.url} into Keras's cache.")
    import keras

    load_data = getattr(keras.datasets, image_set.name).load_data
    try:
        with redirect_stdout(KerasProgress(image_set.name, progressed)), _socket_timeout(DOWNLOAD_SECONDS):
            splits = load_data()
    except (OSError, EOFError, HTTPException) as error:
        raise _unreachable(image_set, folders, str(error) or type(error).__name__) from error
    except Exception as error:
        if "URL fetch failure" in str(error):  # Keras raises it as a plain Exception
            raise _unreachable(image_set, folders, str(error)) from error
        raise DataError(
            f"What was downloaded from {image_set.url} is not {image_set.name}: {error}.", "Try again later."
        ) from error
    train, test = (
        checked(_channels_last(images), labels, image_set=image_set, where=f"the download of {image_set.name}")
        for images, labels in splits
    )
    return train, test


def _channels_last(images: Array) -> Array:
    """Colour images with their channels last, whatever `image_data_format` Keras is configured to."""
    return images.transpose(0, 2, 3, 1) if images.shape[1:] == (3, 32, 32) else images


def _unreachable(image_set: ImageSet, folders: list[Path], reason: str) -> UnreachableError:
    looked_in = ", ".join(str(folder) for folder in folders)
    hint = f"Put {image_set.put} into a folder and name it with --data-dir or {DATA_DIR_VARIABLE}"
    if len(image_set.class_names) == 10:
        hint += ", or add `fallback: digits` to the dataset"
    return UnreachableError(
        f"{image_set.name} is not in {looked_in}, and it cannot be downloaded from {image_set.url}: {reason}.",
        f"{hint}.",
    )


def probe(url: str, *, seconds: float = PROBE_SECONDS) -> str | None:
    """Ask whether the host of `url`, or the proxy in front of it, takes a connection.

    Name resolution knows no time limit of its own, so the question is asked in a thread that is left behind when
    `seconds` have passed.

    Returns:
        None where it answers; otherwise why it does not.
    """
    host, port = _first_hop(url)
    answer: list[str | None] = []

    def ask() -> None:
        try:
            socket.create_connection((host, port), timeout=seconds).close()
            answer.append(None)
        except (OSError, ValueError) as error:
            answer.append(f"{host}: {getattr(error, 'strerror', None) or error}")

    thread = threading.Thread(target=ask, daemon=True, name="dlcli-probe")
    thread.start()
    thread.join(seconds)
    return answer[0] if answer else f"{host} does not answer within {seconds:g} seconds"


def _first_hop(url: str) -> tuple[str, int]:
    """The host and port that a download of `url` connects to: a proxy where the environment names one."""
    parts = urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Give every socket made meanwhile a time limit; urllib has none, and Keras sets none."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
