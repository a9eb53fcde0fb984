"""Pictures in folders of classes, or named in a table, in Python: read with Pillow as `dlcli.data` does it."""

from __future__ import annotations

from pathlib import Path

from dlcli.code.reading import read_code
from dlcli.data.class_folders import folders_of_splits
from dlcli.data.image_decoding import SUFFIXES, Form
from dlcli.data.image_reader import ImageReader
from dlcli.errors import UsageError
from dlcli.spec.sources_files import Csv
from dlcli.spec.sources_folders import Folders
from dlcli.spec.sources_images import Images

_READ = '''
def read(path):
    """The pixels of a picture, upright; white where it is transparent."""
    picture = ImageOps.exif_transpose(Image.open(path))
'''
_FORM = '''
def form(picture):
    """The pixels of a picture; white where it is transparent."""
'''
_BROUGHT = """    if picture.mode.startswith("I;16"):
        picture = Image.fromarray((np.asarray(picture) >> 8).astype("uint8"))
    if picture.has_transparency_data:
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture.convert("RGBA"))
    picture = picture.convert("{mode}")
{fitted}    return np.asarray(picture)
"""
_FITTED = {
    "resize": """    picture = picture.resize(({width}, {height}), Image.Resampling.BILINEAR)
""",
    "crop": """    picture = ImageOps.fit(picture, ({width}, {height}), Image.Resampling.BILINEAR)
""",
    "pad": """    scale = min({width} / picture.width, {height} / picture.height)
    inner = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    inside, picture = picture.resize(inner, Image.Resampling.BILINEAR), Image.new("{mode}", ({width}, {height}))
    picture.paste(inside, (({width} - inner[0]) // 2, ({height} - inner[1]) // 2))
""",
}
_OF_FOLDER = '''
SUFFIXES = {suffixes}


def load(folder):
    """The pictures of a folder that has one for each class, and the numbers of their classes."""
    pictures, labels = [], []
    classes = sorted(path for path in Path(folder).iterdir() if path.is_dir())
    for number, inner in enumerate(classes):
        for path in sorted(inner.rglob("*")):
            if path.suffix.lower() in SUFFIXES:
                pictures.append(read(path))
                labels.append(number)
    return np.stack(pictures), np.array(labels)
'''
_OF_TABLE = '''
def load(table):
    """The pictures that a table names."""
    return np.stack([read(Path({base!r}, str(name).strip())) for name in table[{column!r}]])
'''
_IMPORTS = ["from pathlib import Path", "import numpy as np", "from PIL import Image, ImageOps"]


def pictures_code(source: Images, reader: ImageReader, folder: str | None) -> tuple[list[str], list[str], list[str]]:
    """Imports, functions and statements for `x_train` and `y_train`, and for the test set if there is one.

    Args:
        source: the source, known.
        reader: what its pictures became.
        folder: what the paths of its files are relative to.

    Raises:
        UsageError: nobody has said yet how a script does that.
        DataError: a table cannot be read.
    """
    root = Path(folder or "", source.path)
    read = _READ + _brought_code(reader.form, is_fitted=source.size is not None)
    if not root.is_dir():
        function, lines = _of_table(source, reader, root, folder)
        return [*_IMPORTS, "import pandas as pd"], [read, function], lines
    if reader.classes is None:
        message = "How pictures without classes are read cannot be written as a script yet."
        raise UsageError(message, "With --model-only the model is written.")
    return (
        [*_IMPORTS],
        [read, _OF_FOLDER.format(suffixes=repr(" ".join(SUFFIXES)) + ".split()")],
        loads_code(source, folder),
    )


def form_code(form: Form, *, is_fitted: bool) -> str:
    """The function `form` that makes pixels of a picture that is open; if it `is_fitted`, of any size."""
    return _FORM + _brought_code(form, is_fitted=is_fitted)


def _brought_code(form: Form, *, is_fitted: bool) -> str:
    (height, width), mode = form.size, "L" if form.color == "grayscale" else "RGB"
    fitted = _FITTED[form.fit].format(height=height, width=width, mode=mode) if is_fitted else ""
    return _BROUGHT.format(mode=mode, fitted=fitted)


def _of_table(source: Images, reader: ImageReader, table: Path, folder: str | None) -> tuple[str, list[str]]:
    """The function that reads the pictures of a table, and the statements that read the tables."""
    from dlcli.data.image_tables import LAYOUT, column_of_files  # it imports pandas
    from dlcli.data.tables import read_tables

    column = source.image or column_of_files(read_tables([table], LAYOUT), table)
    base = Path(folder or "", source.folder) if source.folder is not None else table.parent
    lines = []
    paths = {"train": source.path, **({"test": source.test_path} if source.test_path is not None else {})}
    for split, path in paths.items():
        lines.append(read_code(split, [path], Csv(path=(path,)), folder))
        if source.target is not None:
            lines.append(f"{split} = {split}.dropna(subset=[{source.target!r}])")
        lines.append(f"x_{split} = load({split})")
        if source.target is None:
            lines.append(f"y_{split} = x_{split}")
        elif reader.classes is None:
            lines.append(f'y_{split} = {split}[{source.target!r}].to_numpy("float32")')
        else:
            lines += [f"classes = np.unique(train[{source.target!r}])"] if split == "train" else []
            lines.append(f"y_{split} = np.searchsorted(classes, {split}[{source.target!r}])")
    return _OF_TABLE.format(base=str(base), column=column), lines


def loads_code(source: Folders, folder: str | None) -> list[str]:
    """The statements that load the folder of each split."""
    root = Path(source.path) if folder is None else Path(folder, source.path)
    test = None if source.test_path is None else Path(folder or "", source.test_path)
    folders = {**folders_of_splits(root), **({"test": test} if test is not None else {})}
    names = {"train": "train", "validation": "val", "test": "test"}
    return [f"x_{names[split]}, y_{names[split]} = load({str(place)!r})" for split, place in folders.items()]
