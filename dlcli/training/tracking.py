"""What MLflow is told of a run, by its own integration of Keras: MLflow itself is loaded only if a spec asks for it.

A run of dlcli's has one run of MLflow's, whose number is kept in mlflow.json: whoever resumes it goes on in that one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcli.errors import Interrupted, Problem, RunError
from dlcli.files import write_json
from dlcli.runs.figures import figures_of_metrics

if TYPE_CHECKING:
    from dlcli.runs import RunFolder
    from dlcli.spec.loading import LoadedSpec
    from dlcli.training.job import Job
    from dlcli.training.listening import Listener

_AT_ONCE = 100  # parameters
_LONGEST_KEY, _LONGEST_VALUE = 250, 500
_UNKNOWN_LETTERS = re.compile(r"[^\w\-. :/]")
_RELATIVE = re.compile(r"sqlite:///(?=[^/])")
_NOT_LOGGED = ("epoch", "seconds")


def check_installed(loaded: LoadedSpec) -> None:
    """Raises SpecError if a spec asks for MLflow, and it is not there."""
    if loaded.spec.train.mlflow is not None and find_spec("mlflow") is None:
        message = "`train.mlflow` needs MLflow, which is not installed."
        raise loaded.error(Problem(message, ("train", "mlflow"), "Install it: pip install 'dlcli[mlflow]'."))


@contextmanager
def tracked(job: Job, run: RunFolder, listener: Listener) -> Iterator[Tracking]:
    """While entered, a run of MLflow's is under way; afterwards it has ended as what happened inside has.

    Raises:
        RunError: MLflow cannot make it, or does not find the one that the run began with.
    """
    tracking = Tracking(job, run, listener)
    tracking.begin()
    try:
        yield tracking
    except Interrupted:
        tracking.end("KILLED")
        raise
    except BaseException:
        tracking.end("FAILED")
        raise
    tracking.end("FINISHED")


@dataclass
class Tracking:
    """Tells MLflow what becomes of a run: each epoch once, whatever happens to the run.

    What MLflow cannot keep while training goes on is told in a notice at the end; training goes on without it.

    Attributes:
        job: what is trained.
        run: its folder.
        listener: is told what MLflow could not keep.
    """

    job: Job
    run: RunFolder
    listener: Listener
    _callback: Any = field(init=False, default=None)
    _number: str = field(init=False, default="")
    _losses: dict[int, float] = field(init=False, default_factory=dict)

    def begin(self) -> None:
        """Make MLflow's run, or go on in the one that there is. Raises RunError."""
        import mlflow
        from mlflow.exceptions import MlflowException
        from mlflow.keras import MlflowCallback

        spec = self.job.loaded.spec
        asked = spec.train.mlflow
        known = self._known()
        uri = known.get("tracking_uri") or _absolute((asked and asked.tracking_uri) or mlflow.get_tracking_uri())
        self.listener.phase(f"asking MLflow at {uri}")
        self._callback = MlflowCallback()
        self._callback.set_model(self.job.model)
        try:
            mlflow.set_tracking_uri(uri)
            if known:
                self._number = mlflow.start_run(run_id=known["run_id"]).info.run_id
                self._losses = self._losses_there()
                return
            mlflow.set_experiment((asked and asked.experiment) or spec.name)
            self._number = mlflow.start_run(run_name=f"{spec.name}/{self.run.path.name}").info.run_id
            mlflow.set_tag("dlcli.run", str(self.run.path.resolve()))
            self._tell_of_spec()
        except (MlflowException, OSError, ImportError) as error:
            raise _failed(f"MLflow at {uri}", error, known) from error
        write_json(self.run.mlflow, {"tracking_uri": uri, "run_id": self._number})

    def _known(self) -> dict[str, str]:
        if not self.run.mlflow.exists():
            return {}
        try:
            found = json.loads(self.run.mlflow.read_text(encoding="utf-8"))
            return {"tracking_uri": str(found["tracking_uri"]), "run_id": str(found["run_id"])}
        except (OSError, ValueError, KeyError, TypeError) as error:
            hint = "Remove it, and the run goes on in a new one of MLflow's."
            raise RunError(f"{self.run.mlflow} does not say which run of MLflow's it is: {error}.", hint) from error

    def _tell_of_spec(self) -> None:
        import mlflow

        parameters = list(flattened(self.job.loaded.spec.resolved()).items())
        for start in range(0, len(parameters), _AT_ONCE):
            mlflow.log_params(dict(parameters[start : start + _AT_ONCE]))
        self._callback.on_train_begin()  # the optimizer's arguments, and the layers

    def go_on(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Let MLflow have these epochs, which are rows of history.csv; those that it has it keeps."""
        for row in history:
            self.epoch_ended(row)

    def epoch_ended(self, row: Mapping[str, Any]) -> None:
        """The figures of an epoch that is done, counted from 1."""
        if self._losses.get(row["epoch"]) != row["loss"]:  # of one that was done again, they are the same
            self._losses[row["epoch"]] = row["loss"]
            self._callback.on_epoch_end(row["epoch"], _figures(row))

    def _losses_there(self) -> dict[int, float]:
        """By epoch, those that MLflow has."""
        import mlflow

        found = mlflow.MlflowClient().get_metric_history(self._number, "loss")
        return {measured.step: measured.value for measured in found}

    def finished(self, history: Sequence[Mapping[str, Any]], metrics: Mapping[str, Any]) -> None:
        """The figures of the best epoch, as in metrics.json, and the files that go with them."""
        import mlflow

        figures = {
            name if name.startswith("test_") else f"best_{name}": value
            for name, value in figures_of_metrics(metrics).items()
        }
        with self._telling():
            mlflow.flush_async_logging()
            there = self._losses_there()  # its callback keeps its errors to itself
            for row in history:
                if row["epoch"] not in there:
                    mlflow.log_metrics(_figures(row), step=row["epoch"])
            mlflow.log_metrics(figures)
            mlflow.log_artifact(str(self.run.best), "checkpoints")
            for name in ("spec.yaml", "resolved.yaml", "metrics.json", "history.csv"):
                mlflow.log_artifact(str(self.run.path / name))

    def end(self, status: str) -> None:
        """MLflow's run ends with this status of MLflow's."""
        import mlflow

        with self._telling():
            mlflow.flush_async_logging()
            mlflow.end_run(status)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """What MLflow cannot keep is told, and is no reason to lose what was trained."""
        from mlflow.exceptions import MlflowException

        try:
            yield
        except (MlflowException, OSError) as error:
            lines = [_first_line(error), f"The run itself is whole, in {self.run.path}."]
            self.listener.notice("MLflow could not keep all of the run", lines)


def _figures(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _NOT_LOGGED}


def _failed(what: str, error: Exception, known: Mapping[str, str]) -> RunError:
    if isinstance(error, ImportError):
        return RunError(f"{what} needs a package that is not there: {error}.", "pip install 'dlcli[mlflow]'.")
    if known:
        hint = "Remove mlflow.json from the run's folder, and it goes on in a new run of MLflow's."
        return RunError(f"{what} cannot go on in its run {known['run_id']}: {_first_line(error)}", hint)
    hint = "`train.mlflow: {tracking_uri: ...}`, or $MLFLOW_TRACKING_URI, names a server or a database."
    return RunError(f"{what} cannot begin a run: {_first_line(error)}", hint)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:300]


def _absolute(uri: str) -> str:
    """A database named by a relative path is found again from another folder."""
    return _RELATIVE.sub(lambda _: f"sqlite:///{Path.cwd().as_posix()}/", uri)


def flattened(values: Any, above: str = "") -> dict[str, str]:
    """A spec's plain data as MLflow's parameters: `optimizer.SGD.momentum`; what is nothing is left out."""
    if isinstance(values, Mapping):
        parts = ((str(key), value) for key, value in values.items())
    elif isinstance(values, (list, tuple)):
        parts = ((str(number), value) for number, value in enumerate(values))
    else:
        key = _UNKNOWN_LETTERS.sub("_", above)[-_LONGEST_KEY:]
        return {} if values is None else {key: str(values)[:_LONGEST_VALUE]}
    found: dict[str, str] = {}
    for name, value in parts:
        found |= flattened(value, f"{above}.{name}" if above else name)
    return found
