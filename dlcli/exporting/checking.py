"""Whether an exported model answers as dlcli does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlcli.data.dataset import Array, OneOrNamed, named
from dlcli.data.encoding import Encoding, Encodings
from dlcli.evaluation.evaluating import from_logits
from dlcli.evaluation.outputs import outcome_of
from dlcli.evaluation.predicting import outputs_for
from dlcli.exporting.formats import Run, Tensors
from dlcli.exporting.network import OUTPUT
from dlcli.exporting.parts import Step, Taken
from dlcli.exporting.prepare import prepare
from dlcli.exporting.subject import Subject
from dlcli.training.choices import Choices
from dlcli.training.engine import Engine
from dlcli.training.feeding import Feed

_AT_ONCE = 32


@dataclass(frozen=True)
class Takes:
    """What an exported model takes, and how it is made of raw values.

    Attributes:
        tensors: what it takes.
        steps: what `prepare.py` does for each; None where they are raw values already.
        batch_size: how many examples it takes at a time; None for any number.
    """

    tensors: Sequence[Taken]
    steps: Mapping[str, Sequence[Step]] | None
    batch_size: int | None

    def of_raw(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """The tensors for raw values."""
        if self.steps is None:
            return {one.name: _array(raw[one.raw[0]]) for one in self.tensors}
        inputs = [{"name": one.name, "dtype": one.dtype} for one in self.tensors]
        return prepare(raw, {"inputs": inputs, "preparation": self.steps})

    def batches(self, raw: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The tensors for raw values, some examples at a time; pictures of several sizes one by one."""
        is_list = any(isinstance(values, list) and not isinstance(values[0], bytes) for values in raw.values())
        size = self.batch_size or (1 if is_list else _AT_ONCE)
        for start in range(0, len(next(iter(raw.values()))), size):
            yield self.of_raw({name: values[start : start + size] for name, values in raw.items()})


def _array(values: Any) -> Any:
    """Values as an array; the contents of files stay whole, of which NumPy would cut zeros off at their ends."""
    return np.asarray(values, object if isinstance(values[0], bytes) else None)


def answers(run: Run, batches: Iterator[Tensors]) -> dict[str, Array]:
    """What a loaded model answers, by the outputs' names."""
    parts = [run(batch) for batch in batches]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def own_answers(subject: Subject, inputs: OneOrNamed[Array], choices: Choices) -> dict[str, Array]:
    """What dlcli answers for raw examples, by the outputs' names."""
    engine = Engine(subject.model, Feed(subject.preparation, subject.encoding), choices=choices)
    return dict(named(outputs_for(engine, inputs, subject.encoding), OUTPUT))


def largest_difference(found: Mapping[str, Array], wanted: Mapping[str, Array], *, is_coarse: bool = False) -> float:
    """How far answers are from those wanted at most: as it is up to 1, else as a part of what is wanted.

    With `is_coarse`, as a part of the largest that is wanted: whole numbers are spread over all that an output may be.
    """
    largest = 0.0
    for name, own in wanted.items():
        if found[name].shape != own.shape:
            return float("inf")
        size = np.nanmax(np.abs(own), initial=0.0) if is_coarse else np.abs(own)
        apart = np.abs(found[name].astype(np.float64) - own) / np.maximum(1.0, size)
        same = np.isnan(found[name]) & np.isnan(own)
        largest = max(largest, float(np.where(same, 0.0, np.nan_to_num(apart, nan=np.inf)).max(initial=0.0)))
    return largest


@dataclass(frozen=True)
class Score:
    """What a model is worth on some examples: `name` says of what `own` and `exported` are figures."""

    name: str
    examples: int
    own: float
    exported: float


def scores(
    subject: Subject, own: Mapping[str, Array], exported: Mapping[str, Array], targets: OneOrNamed[Array]
) -> list[Score]:
    """The accuracy, or the mean absolute error, of each output, of dlcli's model and of the exported one."""
    each = subject.encoding.each if isinstance(subject.encoding, Encodings) else {OUTPUT: subject.encoding}
    logits = named(from_logits(subject.loaded, dict.fromkeys(each) if len(each) > 1 else None), OUTPUT)
    found = []
    for name, encoding in each.items():
        if encoding.kind == "input":
            continue
        true = np.asarray(named(targets, OUTPUT)[name])
        label = "" if name == OUTPUT else f"{name}, "
        what = "mean absolute error" if encoding.classes is None else "accuracy"
        figures = [_score(outputs[name], true, encoding, logits[name]) for outputs in (own, exported)]
        found.append(Score(f"{label}{what}", len(true), *figures))
    return found


def _score(outputs: Array, true: Array, encoding: Encoding, is_logits: bool) -> float:
    if encoding.classes is None:
        return float(np.abs(outputs[:, 0] - true).mean())
    return float((outcome_of(outputs, encoding, from_logits=is_logits).classes == true).mean())
