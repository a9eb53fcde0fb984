"""The data of a spec in Python: loaded, split, prepared and encoded as dlcli does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dlcli.code.arrays import arrays_code
from dlcli.code.drawn import drawn_code, source_of
from dlcli.code.films import films_code
from dlcli.code.keras_sets import keras_set_code
from dlcli.code.objects import Writer
from dlcli.code.pictures import pictures_code
from dlcli.code.prepared import code_as_written, each_split, prepared_code
from dlcli.code.records import records_code
from dlcli.code.scaling import scaling_code
from dlcli.code.series import series_code
from dlcli.code.tables import table_code
from dlcli.code.texts import numbered_code, texts_code
from dlcli.data import generated
from dlcli.data.array_reader import ArrayReader
from dlcli.data.dataset import Reader
from dlcli.data.encoding import AnyEncoding, Encoding, Encodings
from dlcli.data.image_reader import ImageReader
from dlcli.data.record_reader import RecordReader
from dlcli.data.series_reader import SeriesReader
from dlcli.data.splits import FOLDS_DRAW, TEST_DRAW, VALIDATION_DRAW, split_seed
from dlcli.data.table_reader import TableReader
from dlcli.data.text_reader import TextReader
from dlcli.data.video_reader import VideoReader
from dlcli.errors import DlcliError, UsageError
from dlcli.spec.by_output import output_names
from dlcli.spec.grammar import Spec
from dlcli.spec.source import FileSource, Source
from dlcli.spec.sources import EMBEDDED, SOURCES, Blobs, Circles, Moons, Pairs, Spirals, Xor
from dlcli.spec.sources_arrays import Arrays
from dlcli.spec.sources_drawn import Motion, Random, Ratings, Shapes
from dlcli.spec.sources_files import Csv, Table
from dlcli.spec.sources_images import Images, Video
from dlcli.spec.sources_records import TfRecord
from dlcli.spec.sources_series import Series
from dlcli.spec.sources_texts import Text

_HOLD_OUT = '''
def hold_out(x, y, share, seed):
    """Set a share of the examples apart{classes}."""
    rows, held_out = train_test_split(
        np.arange(len({labels})), test_size=round(share * len({labels})), random_state=seed{stratify}
    )
    rows, held_out = np.sort(rows), np.sort(held_out)
    return {kept_x}, {kept_y}, {held_x}, {held_y}
'''
_HOLD_OUT_FOLD = '''
def hold_out_fold(x, y, fold, folds, seed):
    """Set one of several folds of the examples apart{classes}."""
    divided = {divider}(folds, shuffle=True, random_state=seed).split({labels}, {labels})
    rows, held_out = list(divided)[fold - 1]
    return {kept_x}, {kept_y}, {held_x}, {held_y}
'''
_OF_SEVERAL = "{{name: array[{rows}] for name, array in {letter}.items()}}"


@dataclass(frozen=True)
class DataCode:
    """The statements that bring the data.

    Attributes:
        imports: lines.
        functions: what is defined before, each with its lines.
        lines: the statements; `x_train`, `y_train` and so on are there after them.
        splits: which of train, val and test there are.
    """

    imports: tuple[str, ...]
    functions: tuple[str, ...]
    lines: tuple[str, ...]
    splits: tuple[str, ...]


def data_code(
    spec: Spec, encoding: AnyEncoding, writer: Writer, reader: Reader | None = None, folder: str | None = None
) -> DataCode:
    """What a script does before there is a model.

    Args:
        spec: the spec.
        encoding: of its targets.
        writer: writes what is Keras's.
        reader: what made numbers of a person's files, if the data is that.
        folder: what the paths of those files are relative to.

    Raises:
        UsageError: nobody has said yet how a script does that.
    """
    dataset, source = spec.dataset, spec.dataset.source
    if len(source.input_facts) > 1 and dataset.preparation is not None:
        message = "How several inputs are prepared by layers of the spec's own cannot be written as a script yet."
        raise UsageError(message, "With --model-only the model is written.")
    if dataset.has_all_folds:
        message = f"This spec trains for each of {dataset.folds} folds; a script trains for one."
        raise UsageError(message, "Name it, as in `--fold 1`.")
    if isinstance(source, FileSource) and not isinstance(source, (Arrays, Images, Text, TfRecord, Video)):
        return _from_files(spec, encoding, writer, reader, folder)
    outputs = _asked(spec)
    imports, functions, lines = (
        _stored(source, reader, folder, outputs)
        if isinstance(source, FileSource)
        else _loaded(source, spec.seed, outputs)
    )
    has_test_set = source.has_test_set or bool(source.examples and source.examples[1])
    divided = _divided(spec, outputs, has_test_set=has_test_set)
    imports, functions, lines = [*imports, *divided.imports], [*functions, *divided.functions], [*lines, *divided.lines]
    splits = list(divided.splits)
    if isinstance(reader, TextReader):
        lines += numbered_code(reader, splits)
    lines += prepared_code(dataset, splits, writer)
    lines += _encoded(encoding, splits)
    return DataCode(tuple(dict.fromkeys(imports)), tuple(functions), tuple(lines), tuple(splits))


def _from_files(
    spec: Spec, encoding: AnyEncoding, writer: Writer, reader: Reader | None, folder: str | None
) -> DataCode:
    dataset, source = spec.dataset, spec.dataset.source
    if isinstance(source, Table) and source.corrupt == "skip":
        message = "How corrupt rows of a table are left out cannot be written as a script yet."
        raise UsageError(message, "With --model-only the model is written.")
    if isinstance(source, Csv) and isinstance(reader, TableReader):
        code = table_code(spec, source, reader, folder)
    elif isinstance(source, Series) and isinstance(reader, SeriesReader):
        code = series_code(spec, source, reader, folder)
    else:
        message = f"How examples come from `{source.name}` cannot be written as a script yet."
        raise UsageError(message, "With --model-only the model is written.")
    lines = [*code.lines]
    if dataset.preparation:
        lines += code_as_written(dataset.preparation, code.splits, writer)
    lines += _encoded(encoding, code.splits)
    return DataCode(tuple(code.imports), tuple(code.functions), tuple(lines), tuple(code.splits))


def _asked(spec: Spec) -> tuple[str, ...]:
    return output_names(spec.dataset.source.target_classes, spec.model.outputs)


def _chosen(source: Source, outputs: Sequence[str]) -> list[str]:
    """The statement that takes the one that is asked for of several targets."""
    return [f'y_train = y_train["{outputs[0]}"]'] if len(outputs) == 1 and len(source.target_classes) > 1 else []


def _divided(spec: Spec, outputs: Sequence[str], *, has_test_set: bool) -> DataCode:
    """The statements that hold out what the source does not."""
    dataset, source = spec.dataset, spec.dataset.source
    imports, functions, lines, splits = ["import numpy as np"], [], [], ["train"]
    if (dataset.test and not has_test_set) or isinstance(dataset.validation, float):
        imports.append("from sklearn.model_selection import train_test_split")
        functions.append(_hold_out(source, outputs, _HOLD_OUT))
    if has_test_set or dataset.test:
        splits.append("test")
    if dataset.test and not has_test_set:
        seed = split_seed(spec.seed, TEST_DRAW)
        lines.append(f"x_train, y_train, x_test, y_test = hold_out(x_train, y_train, {dataset.test}, seed={seed})")
    if dataset.held_out_fold is not None:
        fold, seed = dataset.held_out_fold, split_seed(spec.seed, FOLDS_DRAW)
        imports.append(f"from sklearn.model_selection import {_divider_of(source, outputs)}")
        functions.append(_hold_out(source, outputs, _HOLD_OUT_FOLD))
        call = f"hold_out_fold(x_train, y_train, {fold.number}, {fold.of}, seed={seed})"
        lines.append(f"x_train, y_train, x_val, y_val = {call}")
    elif isinstance(dataset.validation, float):
        seed = split_seed(spec.seed, VALIDATION_DRAW)
        lines.append(f"x_train, y_train, x_val, y_val = hold_out(x_train, y_train, {dataset.validation}, seed={seed})")
    if dataset.is_validated and dataset.validation != "test":
        splits.insert(1, "val")
    return DataCode(tuple(imports), tuple(functions), tuple(lines), tuple(splits))


def _divider_of(source: Source, outputs: Sequence[str]) -> str:
    """The class of scikit-learn's that makes folds."""
    return "KFold" if _with_classes(source, outputs) is None else "StratifiedKFold"


def _with_classes(source: Source, outputs: Sequence[str]) -> str | None:
    return next((name for name in outputs if source.target_classes[name] is not None), None)


def _hold_out(source: Source, outputs: Sequence[str], function: str) -> str:
    """The function that sets examples apart, as `dlcli.data.splits` does."""
    with_classes = _with_classes(source, outputs)
    labels = f'y["{with_classes or outputs[0]}"]' if len(outputs) > 1 else "y"

    def rows_of(letter: str, rows: str, *, is_one: bool) -> str:
        return f"{letter}[{rows}]" if is_one else _OF_SEVERAL.format(letter=letter, rows=rows)

    parts = {
        f"{how}_{letter}": rows_of(letter, rows, is_one=is_one)
        for how, rows in (("kept", "rows"), ("held", "held_out"))
        for letter, is_one in (("x", len(source.input_facts) == 1), ("y", len(outputs) == 1))
    }
    return function.format(
        divider=_divider_of(source, outputs),
        classes=", with the same shares of the classes in both parts" if with_classes else "",
        stratify=f", stratify={labels}" if with_classes else "",
        labels=labels,
        **parts,
    )


def _stored(
    source: FileSource, reader: Reader | None, folder: str | None, outputs: Sequence[str]
) -> tuple[list[str], list[str], list[str]]:
    """As `_loaded`, of files of pictures, texts or arrays, which a script reads as they are. Raises UsageError."""
    if source.is_known and isinstance(source, Images) and isinstance(reader, ImageReader):
        return pictures_code(source, reader, folder)
    if source.is_known and isinstance(source, Video) and isinstance(reader, VideoReader):
        return films_code(source, reader, folder)
    if source.is_known and isinstance(source, Text) and isinstance(reader, TextReader):
        return texts_code(source, reader, folder)
    if source.is_known and isinstance(source, Arrays) and isinstance(reader, ArrayReader):
        imports, lines = arrays_code(source, reader, folder, outputs)
        return imports, [], lines
    if source.is_known and isinstance(source, TfRecord) and isinstance(reader, RecordReader):
        return records_code(source, reader, folder, outputs)
    message = f"How the {source.name} of a checkpoint are read cannot be written as a script yet."
    raise UsageError(message, "Name the spec instead; or with --model-only the model is written.")


def _loaded(source: Source, seed: int, outputs: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Imports, functions and statements for `x_train` and `y_train`, and the test set if the source has one."""
    own = getattr(source, "seed", None)
    used = seed if own is None else own
    if isinstance(source, (Shapes, Motion, Pairs, Ratings, Random)):
        code = drawn_code(source, used, lambda name: _loaded(SOURCES[name](), seed, outputs)[2])
        is_one_of_several = len(outputs) == 1 and len(source.target_classes) > 1
        chosen = [f'y_train = y_train["{outputs[0]}"]'] if is_one_of_several else []
        return [*code.imports, "from sklearn import datasets"], [*code.functions], [*code.lines, *chosen]
    if source.kind == "points":
        return _drawn(source, used)
    if source.name not in EMBEDDED:
        return [], [], keras_set_code(source)
    if source.name == "digits":
        lines = [
            "digits = datasets.load_digits()",
            'x_train = np.rint(digits.images * (255 / 16)).astype("uint8")',
            "y_train = digits.target",
        ]
        return ["import numpy as np", "from sklearn import datasets"], [], lines
    scaled = ", scaled=False" if source.name == "diabetes" else ""
    load = f"x_train, y_train = datasets.load_{source.name}(return_X_y=True{scaled})"
    return ["from sklearn import datasets"], [], [load, 'x_train = x_train.astype("float32")']


def _drawn(source: Source, used: int) -> tuple[list[str], list[str], list[str]]:
    match source:
        case Circles():
            shape = f"noise={source.noise}, factor={source.factor}"
            call = f"datasets.make_circles({source.samples}, {shape}, random_state={used})"
        case Moons():
            call = f"datasets.make_moons({source.samples}, noise={source.noise}, random_state={used})"
        case Xor():
            call = f"xor({source.samples}, noise={source.noise}, seed={used})"
        case Spirals():
            call = f"spirals({source.samples}, noise={source.noise}, turns={source.turns}, seed={used})"
        case Blobs():
            arguments = f"centers={source.centers}, features={source.features}, spread={source.spread}, seed={used}"
            call = f"blobs({source.samples}, {arguments})"
        case _:
            raise DlcliError(f"{source.name} is not a data set that is generated.")
    plain: dict[type, Callable[..., object]]
    plain = {Xor: generated.xor, Spirals: generated.spirals, Blobs: generated.blobs}
    function = plain.get(type(source))
    functions = [source_of(function)] if function else []
    imports = [] if functions else ["from sklearn import datasets"]
    lines = [f"x_train, y_train = {call}", 'x_train = x_train.astype("float32")']
    if isinstance(source, Xor) and source.samples == 4:
        lines.append("x_test, y_test = x_train, y_train  # these four points are all there is to know")
    return [*(["import numpy as np"] if functions else []), *imports], functions, lines


def _encoded(encoding: AnyEncoding, splits: Sequence[str]) -> list[str]:
    if isinstance(encoding, Encodings):
        names = [f"y_{split}" for split in splits]
        lines = [
            f'    y["{name}"] = {what.format(f"""y["{name}"]""")}'
            for name, one in encoding.each.items()
            if (what := _as_encoded(one)) is not None
        ]
        encoded = [f"for y in [{', '.join(names)}]:", *lines] if lines else []
        return [*encoded, *scaling_code(encoding, splits)]
    if encoding.kind == "input":
        return [f"y_{split} = x_{split}  # it is to give what it gets" for split in splits]
    what = _as_encoded(encoding)
    return [] if what is None else [each_split("y", splits, what), *scaling_code(encoding, splits)]


def _as_encoded(encoding: Encoding) -> str | None:
    """What becomes of labels; None if nothing."""
    if encoding.kind == "one_hot":
        return f"keras.utils.to_categorical({{}}, {encoding.classes})"
    return '{}.astype("float32").reshape(-1, 1)' if encoding.kind in ("binary", "number", "standardized") else None
