"""Pictures in folders of classes, in Python: read with Pillow as `dlcli.data.image_decoding` does it."""

from __future__ import annotations

from pathlib import Path

from dlcli.data.class_folders import folders_of_splits
from dlcli.data.image_decoding import SUFFIXES
from dlcli.data.image_reader import ImageReader
from dlcli.errors import UsageError
from dlcli.spec.sources_folders import Folders
from dlcli.spec.sources_images import Images

_LOAD = '''
SUFFIXES = {suffixes}


def load(folder):
    """The pictures of a folder that has one for each class, and the numbers of their classes."""
    pictures, labels = [], []
    classes = sorted(path for path in Path(folder).iterdir() if path.is_dir())
    for number, inner in enumerate(classes):
        for path in sorted(inner.rglob("*")):
            if path.suffix.lower() in SUFFIXES:
                picture = ImageOps.exif_transpose(Image.open(path)).convert("{mode}")
                pictures.append(np.asarray(picture{brought}))
                labels.append(number)
    return np.stack(pictures), np.array(labels)
'''


def pictures_code(source: Images, reader: ImageReader, folder: str | None) -> tuple[list[str], list[str], list[str]]:
    """Imports, functions and statements for `x_train` and `y_train`, and for the test set if there is one.

    Raises:
        UsageError: nobody has said yet how a script does that.
    """
    if source.target is not None or source.fit != "resize" or reader.classes is None:
        what = "a table of pictures" if source.target is not None else f"`fit: {source.fit}`"
        message = (
            f"How {what if reader.classes else 'pictures without classes'} is read cannot be written as a script yet."
        )
        raise UsageError(message, "With --model-only the model is written.")
    height, width = reader.form.size
    function = _LOAD.format(
        suffixes=repr(" ".join(SUFFIXES)) + ".split()",
        mode="L" if reader.form.color == "grayscale" else "RGB",
        brought="" if source.size is None else f".resize(({width}, {height}), Image.Resampling.BILINEAR)",
    )
    imports = ["from pathlib import Path", "import numpy as np", "from PIL import Image, ImageOps"]
    return imports, [function], loads_code(source, folder)


def loads_code(source: Folders, folder: str | None) -> list[str]:
    """The statements that load the folder of each split."""
    root = Path(source.path) if folder is None else Path(folder, source.path)
    test = None if source.test_path is None else Path(folder or "", source.test_path)
    folders = {**folders_of_splits(root), **({"test": test} if test is not None else {})}
    names = {"train": "train", "validation": "val", "test": "test"}
    return [f"x_{names[split]}, y_{names[split]} = load({str(place)!r})" for split, place in folders.items()]
