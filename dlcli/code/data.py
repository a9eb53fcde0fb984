"""The data of a spec in Python: loaded, split, prepared and encoded as dlcli does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dlcli.code.drawn import drawn_code, source_of
from dlcli.code.objects import Writer
from dlcli.code.pictures import pictures_code
from dlcli.code.series import series_code
from dlcli.code.tables import table_code
from dlcli.data import generated
from dlcli.data.dataset import Reader
from dlcli.data.encoding import AnyEncoding, Encoding, Encodings
from dlcli.data.image_reader import ImageReader
from dlcli.data.series_reader import SeriesReader
from dlcli.data.splits import FOLDS_DRAW, TEST_DRAW, VALIDATION_DRAW, split_seed
from dlcli.data.table_reader import TableReader
from dlcli.errors import DlcliError, UsageError
from dlcli.spec.by_output import output_names
from dlcli.spec.grammar import DatasetSpec, Spec
from dlcli.spec.keras_objects import KerasObject
from dlcli.spec.source import FileSource, Source
from dlcli.spec.sources import EMBEDDED, SOURCES, Blobs, Circles, Moons, Pairs, Spirals, Xor
from dlcli.spec.sources_drawn import Motion, Random, Ratings, Shapes
from dlcli.spec.sources_files import Csv
from dlcli.spec.sources_images import Images
from dlcli.spec.sources_series import Series

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
    if isinstance(source, FileSource) and not isinstance(source, Images):
        return _from_files(spec, encoding, writer, reader, folder)
    imports, functions, lines = _loaded(source, spec.seed, reader, folder)
    has_test_set = bool(source.examples and source.examples[1])
    outputs = _asked(spec)
    if len(outputs) == 1 and len(source.target_classes) > 1:
        lines.append(f'y_train = y_train["{outputs[0]}"]')
    divided = _divided(spec, outputs, has_test_set=has_test_set)
    imports, functions, lines = [*imports, *divided.imports], [*functions, *divided.functions], [*lines, *divided.lines]
    splits = list(divided.splits)
    lines += _prepared(dataset, splits, writer)
    lines += _encoded(encoding, splits)
    return DataCode(tuple(dict.fromkeys(imports)), tuple(functions), tuple(lines), tuple(splits))


def _from_files(
    spec: Spec, encoding: AnyEncoding, writer: Writer, reader: Reader | None, folder: str | None
) -> DataCode:
    dataset, source = spec.dataset, spec.dataset.source
    if isinstance(source, Csv) and isinstance(reader, TableReader):
        by = next((key for key in ("split", "group", "time") if getattr(source, key) is not None), None)
        if by is not None:
            message = f"How a table is split by `{by}` cannot be written as a script yet."
            raise UsageError(message, "With --model-only the model is written.")
        code = table_code(spec, source, reader, folder)
    elif isinstance(source, Series) and isinstance(reader, SeriesReader):
        code = series_code(spec, source, reader, folder)
    else:
        message = f"How examples come from `{source.name}` cannot be written as a script yet."
        raise UsageError(message, "With --model-only the model is written.")
    lines = [*code.lines]
    if dataset.preparation:
        lines += _prepared_as_written(dataset.preparation, code.splits, writer)
    lines += _encoded(encoding, code.splits)
    return DataCode(tuple(code.imports), tuple(code.functions), tuple(lines), tuple(code.splits))


def _asked(spec: Spec) -> tuple[str, ...]:
    return output_names(spec.dataset.source.target_classes, spec.model.outputs)


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


def _loaded(
    source: Source, seed: int, reader: Reader | None = None, folder: str | None = None
) -> tuple[list[str], list[str], list[str]]:
    """Imports, functions and statements for `x_train` and `y_train`, and the test set if the source has one."""
    if isinstance(source, Images):
        if not isinstance(reader, ImageReader) or not source.is_known:
            message = "How the pictures of a checkpoint are read cannot be written as a script yet."
            raise UsageError(message, "Name the spec instead; or with --model-only the model is written.")
        return pictures_code(source, reader, folder)
    own = getattr(source, "seed", None)
    used = seed if own is None else own
    if isinstance(source, (Shapes, Motion, Pairs, Ratings, Random)):
        code = drawn_code(source, used, lambda name: _loaded(SOURCES[name](), seed)[2])
        return [*code.imports, *(["from sklearn import datasets"])], [*code.functions], [*code.lines]
    if source.kind == "points":
        return _drawn(source, used)
    if source.name not in EMBEDDED:
        lines = [f"(x_train, y_train), (x_test, y_test) = keras.datasets.{source.name}.load_data()"]
        if source.name.startswith("cifar"):
            lines.append("y_train, y_test = y_train.ravel(), y_test.ravel()")
        return [], [], lines
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


def _each(letter: str, splits: Sequence[str], what: str) -> str:
    """An assignment to that variable of every split; `what` says it of the variable without its split."""
    names = [f"{letter}_{split}" for split in splits]
    if len(names) == 1:
        return f"{names[0]} = {what.format(names[0])}"
    return f"{', '.join(names)} = ({what.format(letter)} for {letter} in ({', '.join(names)}))"


def _prepared(dataset: DatasetSpec, splits: Sequence[str], writer: Writer) -> list[str]:
    source = dataset.source
    if dataset.preparation is not None:
        return _prepared_as_written(dataset.preparation, splits, writer)
    facts = list(source.input_facts.values())
    kind, axes = facts[0].kind, len(facts[0].shape)
    if any(other.kind != kind or (kind == "images" and len(other.shape) != axes) for other in facts):
        raise DlcliError(f"The inputs of {source.name} are of different kinds.")
    if kind == "table":
        lines = ["normalize = layers.Normalization()", "normalize.adapt(x_train)"]
        return [*lines, _each("x", splits, "np.asarray(normalize({}))")]
    if kind not in ("images", "video"):
        return []
    scaled = f'{{}}{"[..., None]" if axes == 2 else ""}.astype("float32") * (1 / 255)'
    if len(source.input_facts) == 1:
        return [_each("x", splits, scaled)]
    every = f"{{{{name: {scaled.format('array')} for name, array in {{}}.items()}}}}"
    return [_each("x", splits, every)]


def _prepared_as_written(preparation: Sequence[KerasObject], splits: Sequence[str], writer: Writer) -> list[str]:
    """Layers that learn from the training examples stand alone; those between them are called together."""
    lines = [_each("x", splits, '{}.astype("float32")')]
    together: list[str] = []
    number = 0
    for layer in preparation:
        learns = layer.name == "Normalization" and "mean" not in layer.arguments
        if learns:
            lines += _called_together(together, splits)
            together, number = [], number + 1
            name = "normalize" if number == 1 else f"normalize_{number}"
            lines += [f"{name} = {writer.made('layer', layer)}", f"{name}.adapt(x_train)"]
            lines.append(_each("x", splits, f"np.asarray({name}({{}}))"))
        else:
            together.append(writer.made("layer", layer))
    return [*lines, *_called_together(together, splits)]


def _called_together(together: Sequence[str], splits: Sequence[str]) -> list[str]:
    if not together:
        return []
    made = f"prepare = keras.Sequential([{', '.join(together)},])"
    return [made, _each("x", splits, "prepare.predict({}, verbose=0)")]


def _encoded(encoding: AnyEncoding, splits: Sequence[str]) -> list[str]:
    if isinstance(encoding, Encodings):
        names = [f"y_{split}" for split in splits]
        lines = [
            f'    y["{name}"] = {what.format(f"""y["{name}"]""")}'
            for name, one in encoding.each.items()
            if (what := _as_encoded(one)) is not None
        ]
        return [f"for y in [{', '.join(names)}]:", *lines] if lines else []
    if encoding.kind == "input":
        return [f"y_{split} = x_{split}  # it is to give what it gets" for split in splits]
    what = _as_encoded(encoding)
    return [] if what is None else [_each("y", splits, what)]


def _as_encoded(encoding: Encoding) -> str | None:
    """What becomes of labels; None if nothing."""
    if encoding.kind == "one_hot":
        return f"keras.utils.to_categorical({{}}, {encoding.classes})"
    return '{}.astype("float32").reshape(-1, 1)' if encoding.kind in ("binary", "number") else None
