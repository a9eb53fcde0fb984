"""Where a run goes on from, and whether it can do so exactly. Imports no TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlcli.data.memory import cores
from dlcli.errors import CheckpointError, RunError, UsageError
from dlcli.runs import RunFolder
from dlcli.runs.finding import RUNS, find_run, runs_of
from dlcli.spec.grammar import Spec
from dlcli.training.checkpoint import Checkpoint, Contents, open_checkpoint
from dlcli.training.choices import Choices
from dlcli.training.going_on import GoingOn

# What of a spec may be another in a resumed run: the bits of its epochs do not depend on it.
_FREE = (
    ("train", "epochs"), ("train", "checkpoint"), ("train", "divergence"), ("train", "tensorboard"),
    ("train", "mlflow"), ("train", "strategy"), ("silence",), ("version",), ("dataset", "source", "images", "stream"),
    ("dataset", "source", "images", "cache"),
)  # fmt: skip
# The libraries whose versions decide the bits.
_DECIDING = ("tensorflow", "keras", "numpy")


@dataclass(frozen=True)
class Point:
    """Where a run goes on from.

    Attributes:
        run: the run; None for a checkpoint that is in no run's folder.
        checkpoint: None if nothing was saved yet: then training begins again, in the same folder.
        record: of the run's run.json.
        is_newest: whether the checkpoint is the newest that the run has.
    """

    run: RunFolder | None
    checkpoint: Checkpoint | None
    record: Mapping[str, Any] = field(default_factory=dict)
    is_newest: bool = True

    @property
    def contents(self) -> Contents | None:
        """Of the checkpoint."""
        return self.checkpoint.contents if self.checkpoint else None

    @property
    def going_on(self) -> GoingOn | None:
        """Of the checkpoint."""
        return GoingOn.from_json(self.contents.going_on) if self.contents else None

    @property
    def is_done(self) -> bool:
        """Whether the run has come to its end."""
        return self.is_newest and self.record.get("state") == "done"

    @property
    def epochs_done(self) -> int:
        """How many epochs are done."""
        return int(self.contents.position["epoch"]) if self.contents else 0

    def is_at_end(self, epochs: int) -> bool:
        """Whether there is nothing more to train, if it is to have so many epochs.

        Raises:
            UsageError: it has done more.
        """
        if epochs < self.epochs_done:
            message = f"The run has done {self.epochs_done} epochs already; `train.epochs` is {epochs}."
            raise UsageError(message, "Ask for more, as in `--epochs +5`.")
        planned = self.contents.spec["train"]["epochs"] if self.contents else 0
        return self.is_done and epochs <= planned

    @property
    def data(self) -> dict[str, Any] | None:
        """What is recorded of the data."""
        recorded = self.contents.data if self.contents else self.record.get("data")
        return dict(recorded) if recorded else None

    @property
    def engine(self) -> dict[str, Any]:
        """How the steps ran."""
        return self.going_on.engine if self.going_on else {}

    @property
    def choices(self) -> Choices | None:
        """How the graphs ran; None if that is not known."""
        chosen = self.engine.get("choices")
        if chosen is None:
            return None
        return Choices(**{name: value for name, value in chosen.items() if name != "onednn"})

    @property
    def is_plain(self) -> bool:
        """Whether Keras's own way was asked for."""
        if self.engine:
            return self.engine["path"] == "keras" and self.engine["fallback"] is None
        return (self.record.get("engine") or {}).get("asked") == "keras"


def find_point(path: Path, notify: Callable[[str], object], runs_dir: Path = RUNS) -> Point:
    """Where to go on from, for a run as `find_run` has it, or a checkpoint; `notify` is told of damaged ones.

    Raises:
        CheckpointError: there is no such run or checkpoint, or none of its checkpoints is whole.
    """
    run = find_run(path, runs_dir)
    if path.suffix == ".h5" and not path.is_dir():
        checkpoint = open_checkpoint(path)
        if checkpoint.contents is None:
            message = f"{path} was saved by plain Keras: it does not say how to go on."
            raise CheckpointError(message, f"`--init-from {path}` begins a new run with its weights.")
        is_newest = run is None or path.resolve() == run.last.resolve()
        return Point(run, checkpoint, run.read_record() if run else {}, is_newest)
    if run is None:
        hint = "Name a run's folder, such as `runs/mnist_cnn/latest`, or a checkpoint."
        raise CheckpointError(f"There is no run {path}.", hint)
    return Point(run, _newest_whole(run, notify), run.read_record())


def _newest_whole(run: RunFolder, notify: Callable[[str], object]) -> Checkpoint | None:
    """The newest checkpoint of a run that is whole; None if it has none at all. Raises CheckpointError."""
    told: list[CheckpointError] = []

    def whole(path: Path) -> Checkpoint | None:
        try:
            found = open_checkpoint(path) if path.exists() else None
        except CheckpointError as error:
            told.append(error)
            return None
        return found if found is not None and found.contents is not None else None

    newest = whole(run.last)
    if newest is None:
        others = [found for found in map(whole, (*run.kept, run.best)) if found is not None]
        newest = max(others, key=_step, default=None)
    if newest is None and told:
        raise CheckpointError("\n".join(error.message for error in told), "No checkpoint of this run is whole.")
    for damaged in told:
        notify(f"{damaged.message} Instead, {newest.path if newest else ''} is used.")
    return newest


def _step(checkpoint: Checkpoint) -> int:
    return int(checkpoint.contents.position["step"]) if checkpoint.contents else -1


def find_unfinished(runs_dir: Path, spec: Spec, notify: Callable[[str], object]) -> Point | None:
    """The newest run of this very spec that has not come to its end; None if there is none.

    Raises:
        CheckpointError: none of its checkpoints is whole.
    """
    from dlcli.spec.loading import restore_spec
    from dlcli.spec.reading import read_document

    for run in runs_of(runs_dir, spec.name):
        try:
            record = run.read_record()
            then = restore_spec(read_document(run.resolved).data).spec
        except (RunError, UsageError, OSError):
            continue  # what cannot be read is no run of this spec
        if record.get("state") != "done" and not differences(then.resolved(), spec.resolved()):
            return Point(run, _newest_whole(run, notify), record)
    return None


def spec_then(contents: Contents) -> dict[str, Any]:
    """The spec of a checkpoint, with the defaults of what the dlcli that wrote it did not know yet."""
    from dlcli.spec.loading import restore_spec

    return restore_spec(contents.spec).spec.resolved()


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What of a spec has changed, of what decides the bits: a line each, such as `seed: 0 → 1`."""
    changed = [change for change in all_differences(then, now) if not _is_free(change[0])]
    return [f"{'.'.join(path)}: {before} → {after}" for path, before, after in changed]


def all_differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[tuple[str, ...], str, str]]:
    """What differs between two specs, at which path: the value of each as text, `nothing` where there is none."""
    flat = [dict(_flat(spec, ())) for spec in (then, now)]
    paths = dict.fromkeys([*flat[0], *flat[1]])
    changed = [path for path in paths if flat[0].get(path, "") != flat[1].get(path, "")]
    return [(path, _shown(flat[0], path), _shown(flat[1], path)) for path in changed]


def _is_free(path: tuple[str, ...]) -> bool:
    return any(path[: len(free)] == free for free in _FREE)


def _flat(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(item, (*path, str(key)))
    elif isinstance(value, (list, tuple)) and value:
        for number, item in enumerate(value):
            yield from _flat(item, (*path, str(number)))
    else:
        yield path, value


def _shown(values: Mapping[tuple[str, ...], Any], path: tuple[str, ...]) -> str:
    return f"{values[path]}" if path in values else "nothing"


def version_differences(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Which libraries have other versions, of those that decide the bits."""
    return [
        f"{name} {then[name]} → {now.get(name)}" for name in _DECIDING if name in then and then[name] != now.get(name)
    ]


def machine_differences(engine: Mapping[str, Any], device: str, replicas: int = 1) -> tuple[list[str], list[str]]:
    """What is another machine, for sure or perhaps with other bits: what breaks exactness, and what may do so."""
    if not engine:
        return [], []
    breaking = [f"the device: {engine['device']} → {device}"] if engine["device"] != device else []
    then, now = engine["choices"]["onednn"], os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0"
    if then != now:
        words = {True: "on", False: "off"}
        breaking.append(f"oneDNN (TF_ENABLE_ONEDNN_OPTS): {words[then]} → {words[now]}")
    doubtful = []
    then_replicas = engine.get("replicas", 1)  # of one copy, in checkpoints of earlier versions
    if then_replicas != replicas:
        doubtful.append(f"{then_replicas} → {replicas} copies of the model, among which each batch is divided")
    if engine["processors"] != cores() and replicas == then_replicas == 1:
        doubtful.append(f"{engine['processors']} → {cores()} processors")
    return breaking, doubtful


def refuse(changes: list[str], point: Point) -> RunError:
    """The error that names what has changed."""
    where = point.run.path if point.run else (point.checkpoint.path if point.checkpoint else "")
    lines = "".join(f"\n  {change}" for change in changes)
    message = f"{where} cannot go on exactly, since this has changed:{lines}"
    hint = "Change it back; or go on with it: --allow-change. --init-from begins a new run with the weights."
    return RunError(message, hint)
