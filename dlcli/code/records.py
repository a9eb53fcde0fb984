"""TFRecords in Python, read into memory by TensorFlow as `dlcli.data.from_records` does it by itself."""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence
from pathlib import Path

from PIL import Image

from dlcli.code.arrays import assignments
from dlcli.data.finding import find_all
from dlcli.data.record_columns import Column
from dlcli.data.record_features import First
from dlcli.data.record_files import compression_of, open_records
from dlcli.data.record_layout import Layout
from dlcli.data.record_reader import RecordReader, record_files
from dlcli.data.stored import Stored
from dlcli.errors import UsageError
from dlcli.spec.sources_records import TfRecord

_READ = '''
def read_records(paths):
    """The features of all records, a list of each by its name."""
    described = {{
        {described},
    }}
    records = tf.data.TFRecordDataset(paths{compression})
    rows = [tf.io.parse_single_example(record, described) for record in records]
    return {{name: [row[name].numpy() for row in rows] for name in described}}
'''
_TYPES = {"bytes": "tf.string", "float": "tf.float32", "int64": "tf.int64"}
_MODEL_ONLY = "With --model-only the model is written."


def records_code(
    source: TfRecord, reader: RecordReader, folder: str | None, asked: Collection[str]
) -> tuple[list[str], list[str], list[str]]:
    """Imports, functions, and statements for `x_train` and `y_train`, and for the test set if there is one.

    Args:
        source: the source, known.
        reader: what its features became.
        folder: what the paths of its files are relative to.
        asked: the targets that the model tells.

    Raises:
        UsageError: nobody has said yet how a script does that.
        DataError: a file cannot be read.
    """
    if reader.arrays.windows is not None:
        message = "How records are read while the training goes on cannot be written as a script yet."
        raise UsageError(message, "With `--set dataset.source.tfrecord.stream=false` they are read into memory.")
    if source.corrupt == "skip":
        raise UsageError("How damaged records are left out cannot be written as a script yet.", _MODEL_ONLY)
    paths = {"train": record_files(find_all(source.path, [Path(folder or "")]))}
    if source.test_path is not None:
        paths["test"] = record_files(find_all(source.test_path, [Path(folder or "")]))
    records = open_records(paths["train"], source.compression)
    targets = {name: one for name, one in reader.arrays.targets.items() if name in asked}
    names = [one.array for one in reader.arrays.inputs.values()] + [one.array for one in targets.values()]
    used = {name: reader.layouts[name] for name in names}
    columns = {name: Column.of(records, layout) for name, layout in used.items()}
    first = First.of(records, 0)
    for layout in used.values():
        _check_picture(layout, first)
    described = ",\n        ".join(_described(layout, first) for layout in used.values())
    function = _READ.format(described=described, compression=_compression(source, [*paths.values()]))
    lines = [f"{split} = read_records({[str(path) for path in each]!r})" for split, each in paths.items()]
    part = (
        {name: columns[one.array] for name, one in reader.arrays.inputs.items()},
        {name: columns[one.array] for name, one in targets.items()},
    )

    def read(array: Stored, split: str) -> str:
        return _values(used[array.name], f"{split}[{array.name!r}]", first.features[array.name].kind)

    lines += assignments(reader.arrays.inputs, targets, dict.fromkeys(paths, part), read)
    pictures = ["import io", "from PIL import Image"] if any(layout.form for layout in used.values()) else []
    return ["import numpy as np", "import tensorflow as tf", *pictures], [function], lines


def _check_picture(layout: Layout, first: First) -> None:
    if layout.form is None:
        return
    if not layout.is_exact:
        message = f"How the pictures of `{layout.feature}` are brought to a size cannot be written as a script yet."
        raise UsageError(message, _MODEL_ONLY)
    values = first.values(layout.feature)
    if isinstance(values, list) and Image.open(io.BytesIO(values[0])).mode not in ("L", "RGB"):
        message = f"How the colours of `{layout.feature}` are brought to 8 bits cannot be written as a script yet."
        raise UsageError(message, _MODEL_ONLY)


def _described(layout: Layout, first: First) -> str:
    """What TensorFlow must know of a feature to read it."""
    kind = first.features[layout.feature].kind
    shape = list(layout.shape) if kind != "bytes" else []
    return f"{layout.feature!r}: tf.io.FixedLenFeature({shape!r}, {_TYPES[kind]})"


def _compression(source: TfRecord, parts: Sequence[Sequence[Path]]) -> str:
    found = {source.compression or compression_of(path) for paths in parts for path in paths}
    if len(found) > 1:
        raise UsageError(
            "How files are read of which some are compressed cannot be written as a script yet.", _MODEL_ONLY
        )
    [how] = found
    return "" if how == "none" else f', compression_type="{how.upper()}"'


def _values(layout: Layout, read: str, kind: str) -> str:
    """All rows as an array of the layout's shape and type."""
    if layout.form is not None:
        mode = "L" if layout.form.color == "grayscale" else "RGB"
        return f'np.stack([np.asarray(Image.open(io.BytesIO(one)).convert("{mode}")) for one in {read}])'
    if layout.dtype == "str":
        return f"np.asarray([one.decode() for one in {read}])"
    if kind == "bytes":
        return (
            f'np.stack([np.frombuffer(one, "{layout.stored_dtype.str}").reshape({layout.shape!r}) for one in {read}])'
        )
    brought = "" if layout.dtype == {"float": "float32", "int64": "int64"}[kind] else f'.astype("{layout.dtype}")'
    return f"np.stack({read}){brought}"
