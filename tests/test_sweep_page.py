"""What a person sees of a sweep, from trials that are made here: importance, names, charts and the page."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest

from dlcli.report.drawing import drawing
from dlcli.sweeping.charts import best_so_far, courses
from dlcli.sweeping.findings import findings
from dlcli.sweeping.importance import WatchedImportance, importances
from dlcli.sweeping.naming import condition_text, configuration_text, range_text, short_names, value_text
from dlcli.sweeping.page import write_page
from dlcli.sweeping.result import CHOICE, FLOAT, INTEGER, MAXIMIZE, MINIMIZE, Parameter, SweepResult, Trial
from dlcli.sweeping.scatter import _told_apart
from tests.test_report import Page

UNITS = Parameter("model.layers.hidden.Dense.units", INTEGER, low=32, high=1024, step=32)
RATE = Parameter("model.layers.drop.Dropout.rate", FLOAT, low=0.0, high=0.5)
LONG = "x" * 300
HOSTILE = (
    Parameter("optimizer", CHOICE, choices=("Adam", {"SGD": {"momentum": 0.9}}, None, "<b>bold</b> 🚀")),
    Parameter("optimizer.SGD.momentum", FLOAT, low=0.0, high=0.99, when={"optimizer": ["SGD"]}),
    Parameter("optimizer.*.learning_rate", FLOAT, logarithmic=True, low=1e-5, high=1.0),
    Parameter("model.layers.0.Conv2D.kernel_size", CHOICE, choices=([1, 1], [3, 3], None, True, 1, "1", 1.0)),
    Parameter("model.layers.other.Dense.units", INTEGER, low=3, high=3),
    Parameter(f"train.<script>alert(1)</script>.$x_1^2${LONG}", CHOICE, choices=tuple(f"{LONG}{i}" for i in range(14))),
)


def sweep(
    trials: list[Trial], direction: str = MAXIMIZE, parameters: tuple[Parameter, ...] = (UNITS, RATE), **other: Any
) -> SweepResult:
    return SweepResult("made", "val_accuracy", direction, parameters, tuple(trials), **other)


def trial(number: int, value: float | None, state: str = "complete", **other: Any) -> Trial:
    draw = random.Random(number)
    values = {UNITS.path: 32 * draw.randint(1, 32), RATE.path: draw.uniform(0, 0.5)}
    return Trial(number, state, values, value, **{"seconds": 1.5, **other})


def drawn(parameter: Parameter, draw: random.Random) -> Any:
    low, high = parameter.low or 0.0, parameter.high or 0.0
    if parameter.kind == CHOICE:
        return draw.choice(parameter.choices)
    if parameter.logarithmic:
        return math.exp(draw.uniform(math.log(low), math.log(high)))
    return draw.randint(int(low), int(high)) if parameter.kind == INTEGER else draw.uniform(low, high)


def hostile(count: int = 40) -> SweepResult:
    """Trials in all states, with all kinds of values, numbers that are none, and texts that could be markup."""
    draw = random.Random(1)
    states = ["complete"] * 8 + ["pruned", "failed"]
    trials = []
    for number in range(count):
        state = {count - 1: "running", count - 2: "waiting"}.get(number, states[number % 10])
        values = {one.path: drawn(one, draw) for one in HOSTILE}
        if values["optimizer"] != {"SGD": {"momentum": 0.9}}:
            del values["optimizer.SGD.momentum"]
        value = {3: math.nan, 13: math.inf, 23: -math.inf}.get(number, draw.random())
        reason = "DataError: <img src=x onerror=alert(1)> 💥" if state == "failed" else None
        run = Path("/" + "very_long/" * 30) / str(number)
        kept = value if state in ("complete", "pruned") else None
        trials.append(Trial(number, state, values, kept, run, None, reason))
    return SweepResult("<h1>name & 🚀</h1>", "val_loss", MINIMIZE, HOSTILE, tuple(trials))


def page_of(result: SweepResult, folder: Path) -> tuple[Page, str]:
    path = write_page(result, folder)
    assert path == folder / "report" / "sweep.html"
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    page.assert_whole()
    assert len(text) < 3_000_000
    return page, text


def test_the_best_is_the_best_number_of_the_complete() -> None:
    given = [(0.5, "complete"), (0.9, "pruned"), (math.nan, "complete"), (math.inf, "complete"), (0.7, "complete"),
             (0.7, "complete"), (None, "failed"), (0.2, "complete")]  # fmt: skip
    trials = [trial(number, value, state) for number, (value, state) in enumerate(given)]
    best = {direction: sweep(trials, direction).best() for direction in (MAXIMIZE, MINIMIZE)}
    assert best[MAXIMIZE] is trials[4]
    assert best[MINIMIZE] is trials[7]
    assert best_so_far(sweep(trials)) == ([0, 4], [0.5, 0.7])
    assert best_so_far(sweep(trials, MINIMIZE)) == ([0, 7], [0.5, 0.2])
    assert sweep([]).best() is None


def test_of_several_seeds_the_best_is_of_the_best_mean() -> None:
    values = {"lucky": (0.99, 0.5, 0.5), "good": (0.8, 0.9, 0.7), "broken": (None, None, None)}
    trials = [
        Trial(3 * at + seed, "complete" if value else "failed", {"config": name}, value, seed=seed)
        for at, (name, each) in enumerate(values.items()) for seed, value in enumerate(each)
    ]  # fmt: skip
    result = sweep(trials)
    assert [one.name for one in result.configurations()] == ["good", "lucky", "broken"]
    assert result.best() is trials[4]
    assert result.ranked()[0] is trials[0]
    assert sweep(trials, MINIMIZE).best() is trials[1]
    assert sweep(trials[6:]).best() is None


def test_names_tell_parameters_apart() -> None:
    paths = ("model.layers.a.Dense.units", "model.layers.b.Dense.units", "optimizer.SGD.momentum",
             "model.layers.0.Conv2D.kernel_size.1", "seed", "a.x", "b.x.x")  # fmt: skip
    names = short_names([Parameter(path, INTEGER) for path in paths])
    assert list(names.values()) == ["a.units", "b.units", "momentum", "kernel_size.1", "seed", "a.x", "b.x"]
    assert len(set(short_names(HOSTILE).values())) == len(HOSTILE)


def test_ranges_and_values_are_told_as_a_spec_has_them() -> None:
    assert range_text(UNITS) == "32 to 1024 in steps of 32"
    assert range_text(HOSTILE[2]) == "1.0e-05 to 1.0, logarithmic"
    assert range_text(HOSTILE[3]) == '[1, 1], [3, 3], null, true, 1, "1", 1.0'
    assert condition_text(HOSTILE[1], short_names(HOSTILE)) == "only with optimizer SGD"
    assert value_text(0.123456789) == "0.1235"
    told = configuration_text(sweep([]), trial(0, 1.0))
    assert told.startswith("units 800, rate 0.")


def test_choices_that_begin_alike_are_told_apart() -> None:
    labels = _told_apart(["{Dense: {units: 5, activation: tanh}}", "{Dense: {units: 7, activation: gelu}}", "SGD"])
    assert labels == ["…ivation: tanh}}", "…ivation: gelu}}", "SGD"]


def test_importance_is_that_of_what_matters_and_always_the_same() -> None:
    draw = random.Random(0)
    trials = []
    for number in range(30):
        values = {UNITS.path: 32 * draw.randint(1, 32), RATE.path: draw.uniform(0, 0.5)}
        trials.append(Trial(number, "complete", values, values[UNITS.path] / 1024))
    shares = importances(sweep(trials))
    assert list(shares) == [UNITS.path, RATE.path]
    assert shares[UNITS.path] > 0.9
    assert sum(shares.values()) == pytest.approx(1.0)
    assert importances(sweep(trials)) == shares


def test_importance_is_watched_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []

    def counted(result: SweepResult) -> dict[str, float]:
        computed.append(len(result.trials))
        return {UNITS.path: 1.0}

    monkeypatch.setattr("dlcli.sweeping.importance.importances", counted)
    watched = WatchedImportance()
    shares = [watched.of(sweep([trial(one, 0.5) for one in range(count)])) for count in range(20)]
    assert computed == [6, 8, 10, 13, 17]
    assert shares[:7] == [*[{}] * 6, {UNITS.path: 1.0}]


def test_importance_of_odd_trials() -> None:
    assert importances(sweep([trial(number, 0.5) for number in range(20)])) == {}  # all the same
    wide = [Trial(number, "complete", {UNITS.path: 10**number, RATE.path: 7.0}, number) for number in range(7)]
    assert importances(sweep(wide))[UNITS.path] == pytest.approx(1.0)  # beyond the range that the spec has now
    shares = importances(hostile(60))
    assert set(shares) <= {one.path for one in HOSTILE}
    assert "optimizer.SGD.momentum" in shares
    assert all(0 <= share <= 1 for share in shares.values())


def test_findings() -> None:
    names = short_names((UNITS, RATE))

    def kinds(trials: list[Trial], direction: str = MAXIMIZE) -> list[str]:
        return [one.kind for one in findings(sweep(trials, direction), names, {})]

    ordinary = [Trial(n, "complete", {UNITS.path: 512, RATE.path: 0.2}, 1 - n / 100) for n in range(20)]
    assert kinds(ordinary) == []
    assert kinds([*ordinary, trial(20, None, "failed", reason="out of memory")]) == ["failed"]
    assert kinds([trial(0, None, "failed")]) == ["none-complete"]
    failed = [trial(20 + n, None, "failed", reason=f"no number at step {n}") for n in range(3)]
    [finding] = findings(sweep([*ordinary, *failed]), names, {})
    assert finding.evidence == ("3 times: no number at step 0",)
    assert kinds([*ordinary, trial(20, math.nan)]) == ["no-number"]
    assert kinds(ordinary, MINIMIZE) == ["late"]
    at_end = Trial(0, "complete", {UNITS.path: 1024, RATE.path: 0.2}, 2.0)
    [finding] = findings(sweep([at_end, *ordinary[1:]]), names, {UNITS.path: 0.9})
    assert finding.evidence == ("`units` is best at 1024: of its range that is the most.",)
    assert findings(sweep([at_end, *ordinary[1:]]), names, {UNITS.path: 0.01}) == ()


@pytest.mark.parametrize(
    ("trials", "says"),
    [
        ([], "There are none yet."),
        ([trial(0, 0.5)], "best: trial 0"),
        ([trial(0, 0.5), trial(1, 0.5)], "2 complete"),
        ([trial(0, None, "failed", seconds=None)], "1 of 1 trials failed, and none is complete"),
        ([trial(0, None, "running"), trial(1, None, "waiting")], "1 running, 1 waiting"),
        ([trial(0, 0.4, "pruned", reported={1: 0.3, 2: 0.4})], "A pruned trial was ended early"),
        ([trial(0, math.inf), trial(1, math.nan), trial(2, -1e300), trial(3, 1e300)], "2 values are no finite number"),
    ],
)  # fmt: skip
def test_page_of_few_trials(trials: list[Trial], says: str, tmp_path: Path) -> None:
    direction = MINIMIZE if len(trials) > 1 else MAXIMIZE
    page, _ = page_of(sweep(trials, direction, parameters=(UNITS,), planned=5), tmp_path)
    assert says in page.text
    assert (tmp_path / "report" / "history.png").exists() == any(
        one.state in ("complete", "pruned", "failed") for one in trials
    )


def test_page_of_hostile_trials(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "of_before.png").write_bytes(b"")
    (tmp_path / "spec.yaml").write_text("name: '<b>&amp;</b>'\n")
    result = hostile()
    page, text = page_of(result, tmp_path)
    assert "<h1>name & 🚀</h1>" in page.text
    assert "<img src=x onerror=alert(1)> 💥" in page.text
    assert "name: '<b>&amp;</b>'" in page.text
    assert text.count("<tr class=") == 40
    for one in result.ranked():
        assert f'data-trial="{one.number}" data-value="{one.value!r}"' in text
    assert "no number" in page.text
    assert "infinite" in page.text
    names = {path.name for path in (tmp_path / "report").glob("*.png")}
    assert {"history.png", "importance.png"} < names
    assert "of_before.png" not in names
    assert len([name for name in names if name.startswith("value_")]) == 5  # one is the same in all trials
    assert len([name for name in names if name.startswith("pair_")]) == 6


def test_page_of_a_thousand_trials(tmp_path: Path) -> None:
    states = ["complete"] * 7 + ["pruned", "pruned", "failed"]
    trials = []
    for number in range(1000):
        value = math.sin(number) + 2
        reported = {epoch: value / epoch for epoch in range(1, 6)}
        state = states[number % 10]
        trials.append(trial(number, None if state == "failed" else value, state, reported=reported))
    page, text = page_of(sweep(trials, MINIMIZE, planned=1000), tmp_path)
    assert text.count("<tr class=") == 1000
    assert "700 complete, 200 pruned, 100 failed" in page.text


def of_seeds(spread: float, seeds: int = 4) -> SweepResult:
    """Two specs, one better by 0.01 than the other, with seeds that differ by up to `spread`."""
    trials = []
    for number in range(2 * seeds):
        name, seed = ("worse", "<b>better</b>")[number % 2], number // 2
        value = 0.9 + 0.01 * (number % 2) + spread * seed / max(1, seeds - 1)
        trials.append(Trial(number, "complete", {"config": name}, value, seed=seed))
    parameters = (Parameter("config", CHOICE, choices=("worse", "<b>better</b>")),)
    return sweep(trials, parameters=parameters)


def test_page_of_seeds(tmp_path: Path) -> None:
    result = of_seeds(0.002)
    best, other = result.configurations()
    assert (best.name, other.name) == ("<b>better</b>", "worse")
    assert best.mean == pytest.approx(0.911)
    assert best.deviation == pytest.approx(0.002 * math.sqrt(5 / 27))
    page, text = page_of(result, tmp_path)
    assert page.findings == ["difference"]
    assert f'data-mean="worse" data-value="{other.mean!r}"' in text
    assert "4 of 4" in page.text
    assert {path.name for path in (tmp_path / "report").glob("*.png")} == {"seeds.png"}


def test_what_seeds_say_of_a_difference() -> None:
    assert [one.kind for one in findings(of_seeds(0.05), {}, {})] == ["no-difference"]
    assert findings(of_seeds(0.002, seeds=1), {}, {}) == ()
    failed = [Trial(number, "failed", {"config": "a"}, seed=number) for number in range(3)]
    [none] = sweep(failed).configurations()
    assert (none.mean, none.deviation, none.figures) == (None, None, [])
    assert sweep([trial(0, 0.5)]).configurations() == []


def test_trials_with_a_page_of_their_own_are_linked(tmp_path: Path) -> None:
    run = tmp_path / "trials" / "0"
    (run / "report").mkdir(parents=True)
    (run / "report" / "report.html").touch()
    text = write_page(sweep([trial(0, 0.5, run=run)]), tmp_path).read_text()
    assert '<a href="../trials/0/report/report.html">0</a>' in text


def test_courses_need_two_epochs() -> None:
    with drawing():
        assert courses(sweep([trial(0, 0.5, reported={1: 0.5})])) is None
        chart = courses(sweep([trial(0, 0.5, reported={1: 0.4, 2: math.nan, 3: 0.5})]))
    assert chart is not None
    assert "no finite number" in chart.note
