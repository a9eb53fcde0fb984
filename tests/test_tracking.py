"""What MLflow is told of a run: by a stand-in for it, and by itself where it is installed."""

from __future__ import annotations

import sys
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dlcli.errors import RunError
from dlcli.runs import RunFolder
from dlcli.training.tracking import flattened, tracked
from tests.conftest import Command
from tests.test_resume import Stops, resume, stops, train, write_spec

__all__ = ["stops"]  # the fixture
ROWS = [{"epoch": epoch, "loss": 1 / epoch, "val_loss": 2.0, "seconds": 0.1} for epoch in range(1, 5)]


class Refuses(Exception):
    """Stands in for MlflowException."""


class StandIn:
    """What of MLflow a run is told to."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.points: dict[str, list[tuple[int, float]]] = defaultdict(list)
        self.parameters: dict[str, str] = {}
        self.artifacts: list[str] = []
        self.ended: list[str] = []
        self.loses: set[int] = set()  # epochs that the callback loses, as MLflow's own does without a word
        self.refuses: set[str] = set()
        mlflow = ModuleType("mlflow")
        for name in ("set_tracking_uri", "set_experiment", "set_tag", "flush_async_logging"):
            setattr(mlflow, name, lambda *_: None)
        made: dict[str, Any] = {
            "get_tracking_uri": lambda: "sqlite:///here.db", "start_run": self.start_run,
            "log_params": self.parameters.update, "log_metrics": self.log_metrics,
            "log_artifact": lambda path, *_: self.artifacts.append(Path(path).name), "end_run": self.ended.append,
            "MlflowClient": lambda: SimpleNamespace(get_metric_history=self.history),
        }  # fmt: skip
        vars(mlflow).update(made)
        callback = SimpleNamespace(
            set_model=lambda _: None, on_train_begin=lambda: None, on_epoch_end=self.on_epoch_end
        )
        for name, content in (
            ("mlflow", mlflow), ("mlflow.exceptions", SimpleNamespace(MlflowException=Refuses)),
            ("mlflow.keras", SimpleNamespace(MlflowCallback=lambda: callback)),
        ):  # fmt: skip
            patch.setitem(sys.modules, name, content)

    def start_run(self, run_id: str | None = None, run_name: str | None = None) -> Any:
        if run_id in self.refuses:
            raise Refuses(f"Run {run_id} not found\nsecond line")
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id or "0123"))

    def log_metrics(self, figures: dict[str, float], step: int = 0) -> None:
        if "log_metrics" in self.refuses:
            raise Refuses("no room")
        for name, value in figures.items():
            self.points[name].append((step, value))

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if epoch not in self.loses:
            self.log_metrics(logs, epoch)

    def history(self, _: str, name: str) -> list[Any]:
        return [SimpleNamespace(step=step, value=value) for step, value in self.points[name]]


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return StandIn(monkeypatch)


def job() -> Any:
    asked = SimpleNamespace(tracking_uri=None, experiment=None)
    values = {"optimizer": {"SGD": {"momentum": 0.9}}}
    spec = SimpleNamespace(name="net", resolved=lambda: values, train=SimpleNamespace(mlflow=asked))
    return SimpleNamespace(loaded=SimpleNamespace(spec=spec), model=None)


class Hears:
    def __init__(self) -> None:
        self.notices: list[str] = []

    def phase(self, text: str) -> None:
        """What takes a moment."""

    def notice(self, title: str, lines: Any) -> None:
        self.notices.append(" ".join([title, *lines]))

    def notice_here(self, title: str, lines: Any) -> None:
        self.notice(title, lines)


def test_each_epoch_once_whatever_has_happened(
    tmp_path: Path, mlflow: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run, hears = RunFolder(tmp_path), Hears()
    mlflow.loses = {2}

    def first_part() -> None:
        with tracked(job(), run, hears) as one:
            one.go_on([])
            for row in ROWS[:3]:
                one.epoch_ended(row)
            raise KeyError("killed in the fourth, after a checkpoint in the third")

    with pytest.raises(KeyError):
        first_part()
    assert f'"tracking_uri": "sqlite:///{tmp_path}/here.db"' in run.mlflow.read_text()  # from another folder, too
    with tracked(job(), run, hears) as one:
        one.go_on(ROWS[:2])
        for row in ROWS[2:]:
            one.epoch_ended(row)
        one.finished(ROWS, {"test": {"loss": 0.5}, "validation": {"loss": 0.4}, "epoch": 4})
    assert sorted(mlflow.points["loss"]) == [(row["epoch"], row["loss"]) for row in ROWS]
    assert mlflow.points["test_loss"] == [(0, 0.5)]
    assert mlflow.points["best_val_loss"] == [(0, 0.4)]
    assert "seconds" not in mlflow.points
    assert mlflow.parameters == {"optimizer.SGD.momentum": "0.9"}
    assert mlflow.artifacts[0] == "best.h5"
    assert (mlflow.ended, hears.notices) == (["FAILED", "FINISHED"], [])


def test_epochs_done_again_otherwise_are_told_again(tmp_path: Path, mlflow: StandIn) -> None:
    with tracked(job(), RunFolder(tmp_path), Hears()) as one:
        one.epoch_ended(ROWS[0])
        one.go_on([])  # it has gone back, with a smaller rate
        one.epoch_ended({**ROWS[0], "loss": 7.0})
    assert mlflow.points["loss"] == [(1, 1.0), (1, 7.0)]


def test_what_mlflow_cannot_keep_is_told_and_training_goes_on(tmp_path: Path, mlflow: StandIn) -> None:
    hears = Hears()
    with tracked(job(), RunFolder(tmp_path), hears) as one:
        mlflow.refuses.add("log_metrics")
        one.finished(ROWS, {"test": {"loss": 0.5}})
    assert hears.notices == [f"MLflow could not keep all of the run no room The run itself is whole, in {tmp_path}."]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"tracking_uri": "x", "run_id": "77"}', "cannot go on in its run 77: Run 77 not found$"),
        ("{}", "does not say"),
    ],
)
def test_a_run_that_mlflow_has_lost(tmp_path: Path, mlflow: StandIn, content: str, said: str) -> None:
    mlflow.refuses.add("77")
    RunFolder(tmp_path).mlflow.write_text(content)
    with pytest.raises(RunError, match=said) as caught, tracked(job(), RunFolder(tmp_path), Hears()):
        pass
    assert "Remove" in str(caught.value.hint)


def test_parameters_of_a_spec() -> None:
    values = {"a": {"b": [1, {"c": True}], "none": None}, "d?": "x" * 600}
    assert flattened(values) == {"a.b.0": "1", "a.b.1.c": "True", "d_": "x" * 500}


def test_where_it_is_not_installed(dlcli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dlcli.training.tracking.find_spec", lambda name: None)
    spec = write_spec(tmp_path / "a")
    spec.write_text(spec.read_text() + "  mlflow: true\n")
    done = dlcli("train", spec, "--runs-dir", tmp_path / "runs")
    assert (done.code, "pip install 'dlcli[mlflow]'" in done.err, "mlflow: true" in done.err) == (2, True, True), (
        done.err
    )
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(find_spec("mlflow") is None, reason="MLflow is not installed: pip install 'dlcli[mlflow]'")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_mlflow_itself(tmp_path: Path, stops: Stops, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.chdir(tmp_path)
    spec = write_spec(tmp_path / "a")
    spec.write_text(spec.read_text() + "  mlflow: {tracking_uri: 'sqlite:///a.db', experiment: digits}\n")
    stops.after(6)  # in the second epoch
    assert train(spec) == 143
    stops.after(None)
    run = spec.parent / "resumed" / "one"
    assert resume(run) == 0
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/a.db")
    [experiment] = client.search_experiments(filter_string="name = 'digits'")
    [found] = client.search_runs([experiment.experiment_id])
    rows = (run / "history.csv").read_text().splitlines()[1:]
    assert [point.step for point in client.get_metric_history(found.info.run_id, "loss")] == [*range(1, len(rows) + 1)]
    assert (found.info.status, found.data.tags["dlcli.run"]) == ("FINISHED", str(run))
    assert found.data.params["train.mlflow.experiment"] == "digits"
    assert {"checkpoints", "metrics.json", "model_summary.txt"} <= {
        one.path for one in client.list_artifacts(found.info.run_id)
    }
