"""The image sets that Keras knows (mnist, fashion_mnist, cifar10, cifar100).

The file formats are in `dlcli.data.keras_files` and `dlcli.data.cifar_batches`; where they are looked for, and the
download, in `dlcli.data.keras_cache`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dlcli.data.cifar_batches import read_batch_archive, read_batch_folder
from dlcli.data.dataset import Dataset
from dlcli.data.fingerprint import fingerprint_of
from dlcli.data.keras_cache import Reach, located
from dlcli.data.keras_files import IDX_FILES, ImageSet, TrainAndTest, read_class_folders, read_idx_files, read_npz
from dlcli.spec.source import Source

Reader = Callable[[Path, ImageSet], TrainAndTest]

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
        ImageSet("mnist", (28, 28), tuple("0123456789"), 70_000),
        ImageSet("fashion_mnist", (28, 28), tuple(_CLOTHES.split(",")), 70_000),
        ImageSet("cifar10", (32, 32, 3), tuple(_CIFAR10_CLASSES.split()), 60_000),
        ImageSet("cifar100", (32, 32, 3), tuple(_CIFAR100_CLASSES.split()), 60_000),
    )
}
# What to look for in each folder, in this order. Where several files make up a set, the one looked for is the one that
# a download by Keras (3.15) writes last, so that a download broken off is not taken for a set that is there.
_LAST_IDX_FILE = IDX_FILES[1][0]
PLACES: dict[str, tuple[tuple[str, Reader], ...]] = {
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


def load_keras_set(source: Source, reach: Reach) -> Dataset:
    """Load an image set from the first place that has it: `data_dir`, DLCLI_DATA_DIR, Keras's cache, the download.

    Returns:
        Images as bytes, (n, 28, 28) or (n, 32, 32, 3), held once; class numbers as int32.

    Raises:
        UnreachableError: it is in no folder and cannot be downloaded.
        DataError: `data_dir` is not a folder, or what was found is damaged.
    """
    image_set = IMAGE_SETS[source.name]
    stand_in = "digits" if len(image_set.class_names) == 10 else ""
    path, read = located(source.name, PLACES[source.name], reach, stand_in=stand_in)
    train, test = read(path, image_set)
    origin = str(path if read in (read_npz, read_batch_archive) else path.parent)
    count = len(train) + len(test)
    if count != image_set.size:
        reach.notify(
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
