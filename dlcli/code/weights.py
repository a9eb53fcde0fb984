"""The weights of classes in Python, as `dlcli.data.weighting` has them."""

from __future__ import annotations

from collections.abc import Sequence

from dlcli.data.dataset import Reader
from dlcli.data.encoding import AnyEncoding, Encoding
from dlcli.data.table_reader import TableReader
from dlcli.errors import UsageError
from dlcli.spec.grammar import Spec

_LABELS = {"one_hot": "y_train.argmax(axis=1)", "binary": 'y_train.astype("int32").ravel()'}


def weights_code(spec: Spec, encoding: AnyEncoding, reader: Reader | None) -> tuple[list[str], list[str]]:
    """The statements before `fit`, and its argument; neither if all examples count alike. Raises UsageError."""
    written = spec.train.class_weight
    if written is None or not isinstance(encoding, Encoding):
        return [], []
    if isinstance(written, str):
        labels = _LABELS.get(encoding.kind, "y_train")
        weights = "class_weight = dict(enumerate(len(y_train) / (len(counts) * counts)))"
        return [f"counts = np.bincount({labels})", weights], ["class_weight=class_weight"]
    names = _classes(reader)
    numbers = {name: names.index(name) if name in names else int(name) if name.isdigit() else -1 for name in written}
    if -1 in numbers.values():
        message = "Which numbers the classes of `class_weight` have cannot be written as a script yet."
        raise UsageError(message, "With --model-only the model is written.")
    every = range(encoding.classes or 0)
    by_number = {numbers[name]: weight for name, weight in written.items()}
    pairs = ", ".join(f"{number}: {by_number.get(number, 1.0)!r}" for number in every)
    return [], [f"class_weight={{{pairs}}}"]


def _classes(reader: Reader | None) -> Sequence[str]:
    """The names of the classes, where a table has them."""
    targets = reader.targets.values() if isinstance(reader, TableReader) else ()
    return next((target.classes for target in targets if target.classes is not None), ())
