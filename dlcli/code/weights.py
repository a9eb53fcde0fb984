"""How much and how often examples come, in Python, as `dlcli.data.weighting` and `dlcli.data.oversampling` have it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dlcli.data.dataset import Reader
from dlcli.data.encoding import AnyEncoding, Encoding
from dlcli.data.image_reader import ImageReader
from dlcli.data.table_reader import TableReader
from dlcli.data.text_reader import TextReader
from dlcli.errors import UsageError
from dlcli.spec.grammar import Spec
from dlcli.spec.sources_files import Csv

_LABELS = {"one_hot": "y_train.argmax(axis=1)", "binary": 'y_train.astype("int32").ravel()'}


def weights_code(spec: Spec, encoding: AnyEncoding, reader: Reader | None) -> tuple[list[str], list[str]]:
    """The statements before `fit`, and its argument; neither if all examples count alike. Raises UsageError."""
    source, lines = spec.dataset.source, []
    labels = _LABELS.get(encoding.kind, "y_train") if isinstance(encoding, Encoding) else ""
    if spec.train.class_weight is not None and isinstance(encoding, Encoding):
        lines = _class_weights(spec.train.class_weight, encoding, labels, reader)
    taken = "[rows]" if spec.train.oversample is not None else ""
    if not isinstance(source, Csv) or source.weight is None:
        return lines, ["class_weight=class_weight"] if lines else []
    of_rows = f'train[{source.weight!r}].to_numpy("float32"){taken}'
    if not lines:
        return [], [f"sample_weight={of_rows}"]
    # Keras takes one or the other.
    together = f"sample_weight = {of_rows} * [class_weight[label] for label in {labels}]"
    return [*lines, together], ["sample_weight=sample_weight"]


def _class_weights(
    written: str | Mapping[str, float], encoding: Encoding, labels: str, reader: Reader | None
) -> list[str]:
    """What makes `class_weight`."""
    if isinstance(written, str):
        weights = "class_weight = dict(enumerate(len(y_train) / (len(counts) * counts)))"
        return [f"counts = np.bincount({labels})", weights]
    return [f"class_weight = {_by_number(written, encoding, reader, 'class_weight')}"]


def repeated_code(spec: Spec, encoding: AnyEncoding, reader: Reader | None) -> list[str]:
    """The statements that repeat the training examples of rare classes. Raises UsageError."""
    written = spec.train.oversample
    if written is None or not isinstance(encoding, Encoding):
        return []
    if len(spec.dataset.source.input_facts) > 1:
        message = "How examples with several inputs are repeated cannot be written as a script yet."
        raise UsageError(message, "With --model-only the model is written.")
    lines = [
        "# What does not divide evenly is drawn once; dlcli draws it anew for each epoch.",
        f"random = np.random.default_rng({spec.seed})",
        f"labels = {_LABELS.get(encoding.kind, 'y_train')}",
        "of_each = {number: random.permutation(np.flatnonzero(labels == number)) for number in np.unique(labels)}",
    ]
    if isinstance(written, str):
        lines.append("most = max(len(rows) for rows in of_each.values())")
        size = "most"
    else:
        lines.append(f"times = {_by_number(written, encoding, reader, 'oversample')}")
        size = "round(times[number] * len(rows))"
    return [
        *lines,
        f"rows = np.sort(np.concatenate([np.resize(rows, {size}) for number, rows in of_each.items()]))",
        "x_train, y_train = x_train[rows], y_train[rows]",
    ]


def _by_number(written: Mapping[str, float], encoding: Encoding, reader: Reader | None, key: str) -> str:
    """The numbers that are written for classes, by the numbers of these."""
    names = _classes(reader)
    numbers = {name: names.index(name) if name in names else int(name) if name.isdigit() else -1 for name in written}
    if -1 in numbers.values():
        message = f"Which numbers the classes of `{key}` have cannot be written as a script yet."
        raise UsageError(message, "With --model-only the model is written.")
    by_number = {numbers[name]: weight for name, weight in written.items()}
    pairs = ", ".join(f"{number}: {by_number.get(number, 1.0)!r}" for number in range(encoding.classes or 0))
    return f"{{{pairs}}}"


def _classes(reader: Reader | None) -> Sequence[str]:
    """The names of the classes, where the data is a person's own."""
    if isinstance(reader, (ImageReader, TextReader)):
        return reader.classes or ()
    targets = reader.targets.values() if isinstance(reader, TableReader) else ()
    return next((target.classes for target in targets if target.classes is not None), ())
