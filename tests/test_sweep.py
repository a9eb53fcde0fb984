"""`dlcli sweep`: which values are tried, that each trial is there once whatever happens, and what comes of it."""

from __future__ import annotations

import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
from pydantic import ValidationError

from dlcli.cli.sweep_opening import parse_seeds
from dlcli.errors import UsageError
from dlcli.runs.sweeps import SweepFolder
from dlcli.spec.composition import put_together
from dlcli.spec.editing import edited
from dlcli.spec.sweep import PRUNERS, SAMPLERS, SweepSpec
from dlcli.sweeping import one_trial
from dlcli.sweeping.best import other_folder
from dlcli.sweeping.journal import MOST_IN_VAIN, Journal
from dlcli.sweeping.plan import Search, planned_trials
from dlcli.sweeping.reading import is_whole, read_result
from tests.conftest import Command, run_quietly, thorough

SPEC = """\
# A network that learns in a moment.
name: tiny
dataset: {source: iris, validation: 0.3, batch_size: 32}
model:
  layers:
    - {Dense: {units: 4, activation: relu}, name: hidden}  # the one
    - Dense: {units: 3, activation: softmax}
loss: sparse_categorical_crossentropy
optimizer: Adam
metrics: [accuracy]
train: {epochs: 2}

sweep:
  metric: val_accuracy
  trials: 4
  seed: 3
  parameters:
    model.layers.hidden.Dense.units: {low: 4, high: 16, step: 4}
    optimizer: [SGD, Adam]
    optimizer.SGD.momentum: {low: 0.0, high: 0.9, when: {optimizer: SGD}}
"""
UNITS, MOMENTUM = "model.layers.hidden.Dense.units", "optimizer.SGD.momentum"


def sweep_of(**changes: Any) -> SweepSpec:
    parameters = {
        "units": {"low": 4, "high": 13, "step": 4},
        "optimizer": ["SGD", {"Adam": {"learning_rate": 0.1}}],
        "momentum": {"low": 0.0, "high": 0.5, "step": 0.25, "when": {"optimizer": "SGD"}},
        "beta": {"low": 0.1, "high": 0.9, "when": {"optimizer": ["Adam"]}},
    }
    return SweepSpec.model_validate({"parameters": parameters, **changes})


def plan_of(folder: Path, sweep: SweepSpec, planned: int = 5) -> Search:
    return Search(SweepFolder(folder), sweep, lambda path, overrides, look: pytest.fail("nothing is read"), planned)


def values_of(sweep: SweepSpec, trials: int) -> list[dict[str, Any]]:
    """What is tried, if each trial is better than the one before."""
    study = optuna.create_study(direction="maximize")
    plan = plan_of(Path(), sweep)
    found = []
    for number in range(trials):
        study.sampler = plan.sampler(number)
        trial = study.ask()
        found.append(plan.suggest(trial)[0])
        study.tell(trial, number)
    return found


class TestPlan:
    @pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", {"tpe": {"n_startup_trials": 2}}])
    def test_values_are_of_their_ranges_and_conditions_hold(self, sampler: Any) -> None:
        for values in values_of(sweep_of(sampler=sampler), 12):
            assert values["units"] in (4, 8, 12)
            is_sgd = values["optimizer"] == "SGD"
            assert values.get("momentum") in ((0.0, 0.25, 0.5) if is_sgd else (None,))
            assert ("beta" in values) != is_sgd

    @pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
    def test_the_same_seed_tries_the_same(self, sampler: str) -> None:
        sweep = sweep_of(sampler=sampler)
        assert values_of(sweep, 12) == values_of(sweep, 12)
        assert values_of(sweep, 12) != values_of(sweep_of(sampler=sampler, seed=1), 12) or sampler == "qmc"

    def test_a_grid_tries_each_combination_once(self) -> None:
        parameters = {
            "a": {"low": 1, "high": 2},
            "b": ["x", "y"],
            "c": {"low": 0.0, "high": 0.3, "step": 0.1, "when": {"b": "x"}},
        }
        sweep = SweepSpec.model_validate({"sampler": "grid", "parameters": parameters})
        assert planned_trials(sweep) == 10
        tried = values_of(sweep, 10)
        assert len({json.dumps(values) for values in tried}) == 10
        assert {"a": 2, "b": "x", "c": 0.3} in tried
        assert {"a": 1, "b": "y"} in tried
        fewer = sweep.model_copy(update={"trials": 3})
        assert planned_trials(fewer) == 3

    def test_a_grid_without_end_is_refused(self) -> None:
        with pytest.raises(ValidationError, match="no end"):
            sweep_of(sampler="grid")

    @pytest.mark.parametrize("kinds", [SAMPLERS, PRUNERS])
    def test_arguments_and_defaults_are_optuna_s(self, kinds: dict[str, Any]) -> None:
        module = optuna.samplers if kinds is SAMPLERS else optuna.pruners
        for kind in kinds.values():
            known = inspect.signature(getattr(module, kind.optuna)).parameters if kind.optuna else {}
            for name, field in kind.model_fields.items():
                assert field.is_required() or known[name].default == field.default


class TestJournal:
    def journal(self, folder: Path) -> Journal:
        return Journal(SweepFolder(folder), "maximize")

    def test_processes_share_exactly_the_planned_trials(self, tmp_path: Path) -> None:
        first, second = self.journal(tmp_path), self.journal(tmp_path)
        plan = plan_of(tmp_path, sweep_of())
        taken = [journal.take(plan) for journal in (first, second, first, second, first)]
        assert [one.number for one in taken if one is not None] == [0, 1, 2, 3, 4]
        assert second.take(plan) is None

    def test_what_a_dead_process_has_left_goes_on_with_the_same_values(self, tmp_path: Path) -> None:
        first, plan = self.journal(tmp_path), plan_of(tmp_path, sweep_of())
        taken = first.take(plan)
        assert taken is not None
        taken.lock.release()  # as the machine does when the process ends
        again = self.journal(tmp_path).take(plan)
        assert again is not None
        assert (again.number, again.values) == (0, taken.values)
        assert [trial.state for trial in first.trials()] == ["running"]

    def test_a_trial_that_ends_its_process_again_and_again_is_given_up(self, tmp_path: Path) -> None:
        plan = plan_of(tmp_path, sweep_of())
        reasons = []
        for _ in range(MOST_IN_VAIN + 1):
            taken = self.journal(tmp_path).take(plan)
            assert taken is not None
            reasons.append(taken.given_up)
            taken.lock.release()
        assert reasons[:-1] == [None] * MOST_IN_VAIN
        assert "memory" in str(reasons[-1])

    def test_ends_are_kept(self, tmp_path: Path) -> None:
        journal, plan = self.journal(tmp_path), plan_of(tmp_path, sweep_of())
        for number in range(3):
            taken = journal.take(plan)
            assert taken is not None
            if number == 0:
                journal.complete(taken, 0.5, 1.5)
            elif number == 1:
                one_trial.report(taken.trial, 1, 0.25)
                journal.prune(taken, 1.0)
            else:
                journal.fail(taken, "The loss is no number.", None)
        found = self.journal(tmp_path).trials()
        assert [trial.state for trial in found] == ["complete", "pruned", "failed"]
        assert [trial.value for trial in found] == [0.5, 0.25, None]
        assert found[2].reason == "The loss is no number."
        assert found[0].seconds == 1.5

    def test_a_line_without_its_end_is_cut_off(self, tmp_path: Path) -> None:
        journal, plan = self.journal(tmp_path), plan_of(tmp_path, sweep_of())
        assert journal.take(plan) is not None
        with (tmp_path / "journal.log").open("ab") as file:
            file.write(b'{"op_code": 4, "study')
        again = self.journal(tmp_path)
        assert len(again.trials()) == 1
        assert again.take(plan) is not None


def test_a_process_stops_when_the_one_that_began_it_is_gone() -> None:
    """Its standard input then ends, however that came."""
    code = "import time; from dlcli.machine import stop_with_parent; stop_with_parent(); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait() == -signal.SIGTERM


class TestText:
    def test_values_are_put_into_the_text_and_comments_stay(self, tmp_path: Path) -> None:
        path = tmp_path / "tiny.yaml"
        path.write_text(SPEC)
        wanted = put_together(path)
        wanted["model"]["layers"][0]["Dense"]["units"] = 12
        wanted["optimizer"] = {"SGD": {"momentum": 0.5}}
        paths = [("model", "layers", 0, "Dense", "units"), ("optimizer",), ("optimizer", "SGD", "momentum")]
        text = edited(SPEC, paths, wanted, without=["sweep"])
        assert text is not None
        assert "{Dense: {units: 12, activation: relu}, name: hidden}  # the one" in text
        assert "optimizer: {SGD: {momentum: 0.5}}\n" in text
        assert text.startswith("# A network")
        assert "sweep" not in text

    def test_what_has_no_place_is_told(self) -> None:
        assert edited("a:\n  b: 1\n", [("a", "c")], {"a": {"b": 1, "c": 2}}) is None

    @pytest.mark.parametrize(("text", "seeds"), [("0,1,5", (0, 1, 5)), ("0..3", (0, 1, 2, 3)), ("7", (7,))])
    def test_seeds(self, text: str, seeds: tuple[int, ...]) -> None:
        assert parse_seeds(text) == seeds

    @pytest.mark.parametrize("text", ["", "a", "3..1", "1,1", "0..99999", "-1", "1.5"])
    def test_no_seeds(self, text: str) -> None:
        with pytest.raises(UsageError, match="seeds"):
            parse_seeds(text)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sweep") / "tiny.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture(scope="module")
def done(spec: Path) -> Path:
    """The folder of a sweep whose trial 1 has diverged."""
    runs, original = spec.parent / "runs", one_trial.run_training

    def run_training(request: Any, listener: Any, hooks: Any) -> Any:
        if request.run_name == "1":
            raise RuntimeError("no number")
        return original(request, listener, hooks)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one_trial, "run_training", run_training)
        assert run_quietly("sweep", spec, "--runs-dir", runs, "--run-name", "one", "--quiet", "--no-report") == 0
    return runs / "tiny" / "one"


class TestSweep:
    def test_a_trial_that_fails_does_not_end_it(self, done: Path) -> None:
        result = read_result(SweepFolder(done))
        assert is_whole(result)
        assert [trial.state for trial in result.trials][1] == "failed"
        assert result.trials[1].reason == "RuntimeError: no number"
        assert {trial.state for trial in result.trials if trial.number != 1} <= {"complete", "pruned"}
        assert result.record["state"] == "done"
        assert (result.metric, result.direction, result.planned) == ("val_accuracy", "maximize", 4)

    def test_trials_are_ordinary_runs_without_a_sweep(self, dlcli: Command, done: Path) -> None:
        best = read_result(SweepFolder(done)).best()
        assert best is not None
        assert best.run is not None
        assert best.value == dlcli("evaluate", done, "--split", "validation", "--json").json["metrics"]["accuracy"]
        assert "sweep" not in (best.run / "resolved.yaml").read_text()
        assert "sweep" not in (best.run / "spec.yaml").read_text()
        assert dlcli("train", "--resume", best.run).code == 0

    def test_it_is_one_row_among_the_runs(self, dlcli: Command, done: Path) -> None:
        found = dlcli("runs", "list", "--runs-dir", done.parents[1], "--json").json
        assert [(one["run"], one["state"]) for one in found] == [("tiny/one", "done")]
        shown = dlcli("runs", "show", done)
        assert "4 planned" in shown.out

    def test_the_best_is_written_as_the_spec_with_its_comments(
        self, dlcli: Command, done: Path, tmp_path: Path
    ) -> None:
        path = tmp_path / "best.yaml"
        best = dlcli("sweep", "best", done, "--write", path, "--json").json
        text = path.read_text()
        assert "# the one" in text
        assert "sweep:" not in text
        assert put_together(path)["model"]["layers"][0]["Dense"]["units"] == best["values"][UNITS]
        assert dlcli("check", "--static", path).code == 0
        again = dlcli("sweep", "best", done, "--write", path)
        assert again.code == 4
        assert "exists" in again.err
        assert path.read_text() == text
        assert dlcli("sweep", "best", done, "--write", path, "--force").code == 0

    def test_comments_stay_where_a_spec_goes_on_from_another(self, dlcli: Command, done: Path, tmp_path: Path) -> None:
        folder = shutil.copytree(done, tmp_path / "copied")
        data = next(line for line in SPEC.splitlines(keepends=True) if line.startswith("dataset:"))
        (folder / "spec.yaml").write_text(SPEC.replace(data, "extends: base.yaml\n"))
        (tmp_path / "base.yaml").write_text(data)
        best = dlcli("sweep", "best", folder, "--write", tmp_path / "best.yaml", "--json").json
        text = (tmp_path / "best.yaml").read_text()
        assert "extends: base.yaml" in text
        assert "# the one" in text
        assert put_together(tmp_path / "best.yaml")["model"]["layers"][0]["Dense"]["units"] == best["values"][UNITS]
        (tmp_path / "elsewhere").mkdir()
        assert dlcli("sweep", "best", folder, "--write", tmp_path / "elsewhere" / "best.yaml").code == 0
        assert "source: iris" in (tmp_path / "elsewhere" / "best.yaml").read_text()

    def test_files_are_named_from_the_folder_of_the_spec(self, tmp_path: Path) -> None:
        (tmp_path / "composed.yaml").write_text("dataset: {source: {csv: {path: a.csv, target: b}}}\n")
        folder = SweepFolder(tmp_path)
        folder.write_record({"spec_folder": str(tmp_path / "specs")})
        assert other_folder(folder, tmp_path / "specs" / "best.yaml") is None
        assert other_folder(folder, tmp_path / "best.yaml") == tmp_path / "specs"
        (tmp_path / "composed.yaml").write_text("dataset: {source: iris}\n")
        assert other_folder(folder, tmp_path / "best.yaml") is None

    def test_the_next_training_lets_go_of_what_those_before_have_registered(self, done: Path) -> None:
        from tensorflow.python.framework import ops

        from dlcli.training.backend import set_seeds

        set_seeds(0)
        assert not [name for name in ops.gradient_registry._registry if name.startswith("CustomGradient-")]

    def test_it_is_shown(self, dlcli: Command, done: Path) -> None:
        shown = dlcli("sweep", "show", done, "--json").json
        assert [trial["trial"] for trial in shown["trials"]] == [0, 1, 2, 3]
        assert "no number" in dlcli("sweep", "show", done).out

    def test_more_trials_go_on(self, dlcli: Command, done: Path) -> None:
        before = read_result(SweepFolder(done)).trials
        went = dlcli("sweep", "--resume", done, "--trials", 5, "--no-report", "--json")
        assert went.code == 0, went.err
        after = read_result(SweepFolder(done)).trials
        assert after[:4] == before
        assert len(after) == 5

    def test_a_signal_leaves_it_to_be_resumed_to_the_same(
        self, dlcli: Command, spec: Path, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = one_trial._Reporter.epoch_ended

        def epoch_ended(self: Any, end: Any) -> None:
            original(self, end)
            if self._taken.number == 2 and end.epoch == 1:
                os.kill(os.getpid(), signal.SIGINT)

        monkeypatch.setattr(one_trial._Reporter, "epoch_ended", epoch_ended)
        arguments = ("--runs-dir", tmp_path, "--no-report", "--set", "sweep.pruner=none", "--trials", 3)
        stopped = dlcli("sweep", spec, *arguments)
        assert stopped.code == 130, stopped.err
        assert "--resume" in stopped.err
        assert dlcli("runs", "list", "--runs-dir", tmp_path, "--json").json[0]["state"] == "interrupted"
        monkeypatch.setattr(one_trial._Reporter, "epoch_ended", original)
        went = dlcli("sweep", spec, *arguments, "--resume", "auto")
        assert went.code == 0, went.err
        [folder] = (tmp_path / "tiny").glob("*Z-*")
        found = read_result(SweepFolder(folder)).trials
        assert [trial.state for trial in found] == ["complete"] * 3
        assert found[0].values == read_result(SweepFolder(done)).trials[0].values

    def test_a_budget_that_is_used_up_is_told(self, dlcli: Command, done: Path) -> None:
        before = read_result(SweepFolder(done)).trials
        went = dlcli("sweep", "--resume", done, "--trials", 9, "--budget", "0.001s", "--no-report")
        assert went.code == 0, went.err
        assert "is used up" in went.err
        assert f"dlcli sweep --resume {done} --budget" in went.err.replace("\n", " ")
        assert read_result(SweepFolder(done)).trials == before

    @thorough
    def test_seeds_compare_specs(self, dlcli: Command, spec: Path, tmp_path: Path) -> None:
        other = tmp_path / "other.yaml"
        other.write_text(f"extends: {spec}\nname: other\ntrain: {{epochs: 1}}\n")
        went = dlcli(
            "sweep", spec, other, "--seeds", "0..1", "--metric", "val_loss", "--runs-dir", tmp_path, "--no-report"
        )
        assert went.code == 0, went.err
        [folder] = (tmp_path / "tiny").glob("*Z-*")
        found = read_result(SweepFolder(folder)).trials
        assert [(trial.values["config"], trial.seed) for trial in found] == [
            ("tiny", 0), ("other", 0), ("tiny", 1), ("other", 1),
        ]  # fmt: skip
        assert {trial.state for trial in found} == {"complete"}
        assert len({trial.value for trial in found}) == 4
        best = dlcli("sweep", "best", folder, "--write", tmp_path / "best.yaml", "--json").json["values"]["config"]
        assert best == read_result(SweepFolder(folder)).configurations()[0].name
        written = put_together(tmp_path / "best.yaml")
        assert (written["name"], written.get("seed")) == (best, None)
        assert "mean val_loss" in (tmp_path / "best.yaml").read_text()

    def test_train_takes_the_spec_s_own_values(self, dlcli: Command, spec: Path, tmp_path: Path) -> None:
        went = dlcli("train", spec, "--runs-dir", tmp_path, "--run-name", "own", "--set", "train.epochs=1")
        assert went.code == 0
        assert "dlcli sweep" in went.err
        assert "sweep" not in (tmp_path / "tiny" / "own" / "resolved.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 2, "Name the YAML file"),
        (("SPEC", "--grid", "--random"), 2, "--grid and --random"),
        (("SPEC", "SPEC"), 2, "--seeds"),
        (("SPEC", "--seeds", "0,1", "--trials", "3"), 2, "--seeds"),
        (("--resume", "nowhere"), 4, "There is no sweep"),
        (("SPEC", "--resume", "nowhere"), 2, "no other spec"),
        (("PLAIN",), 2, "has no `sweep`"),
        (("SPEC", "--set", "dataset.validation=null", "--set", "dataset.folds=3"), 2, "folds"),
        (("SPEC", "--grid"), 2, "no end"),
        (("SPEC", "--metric", "val_acuracy"), 2, "val_accuracy"),
        (("best", "nowhere"), 4, "There is no sweep"),
    ],
)
def test_usage(dlcli: Command, spec: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, says: str) -> None:
    plain = tmp_path / "plain.yaml"
    plain.write_text(SPEC[: SPEC.index("sweep:")])
    named = {"SPEC": str(spec), "PLAIN": str(plain)}
    went = dlcli(
        "sweep", *(named.get(one, one) for one in arguments), *(() if "best" in arguments else ("--runs-dir", tmp_path))
    )
    assert went.code == code, went.err
    assert says in went.err
    assert not (tmp_path / "tiny").exists()


def test_without_optuna_it_says_what_to_install(dlcli: Command, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dlcli.cli import sweep_opening

    monkeypatch.setattr(sweep_opening, "find_spec", lambda name: None)
    for arguments in (("sweep", spec), ("sweep", "show", "x"), ("sweep", "best", "x")):
        went = dlcli(*arguments)
        assert went.code == 2
        assert "dlcli[sweep]" in went.err


@thorough
def test_kills_lose_no_trial(tmp_path: Path) -> None:
    import subprocess
    import sys

    for jobs in ("1", "2"):
        subprocess.run([sys.executable, "-m", "tests.killing_sweeps", "4", "--jobs", jobs], check=True, timeout=1800)
