"""The source `python`: what a function of one's own returns, run only if a person trusts it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from dlcli.cli.options import catalogue
from dlcli.data.dataset import Dataset
from dlcli.data.looking import look
from dlcli.data.where import Where
from dlcli.errors import DataError, SpecError
from dlcli.spec.loading import load_spec
from tests.conftest import Command
from tests.test_arrays import CLASSES, NUMBER, SPEC, X, Y

CODE = """import os
import numpy as np
from helping import labels_of

print("loading")


def points(count=60, seed=0):
    labels = labels_of(count)
    points = np.random.default_rng(seed).normal(size=(count, 4)) * 0.3
    points[:, 0] += labels
    return points.astype("float32"), labels


def with_test(count=60):
    return points(count), points(12, 1)


def by_name(count=60):
    x, y = points(count)
    kinds = [("red", "green", "blue")[label] for label in y]
    return {"left": x[:, :2], "right": x[:, 2:], "kind": kinds, "size": x[:, 0]}


def lists():
    x, y = points()
    return x.tolist(), y.tolist()


def drawn():
    return np.random.normal(size=(60, 4)), np.arange(60) % 3


def only():
    return points()[0]


def fails(path="nothing.npy"):
    deeper(path)


def deeper(path):
    return np.load(path)


def leaves():
    raise SystemExit("enough")


class Cancelled(BaseException):
    pass


def cancels():
    raise Cancelled("no more")


def moves(path):
    os.chdir(path)
    return points()


def three():
    return 1, 2, 3


def nothing():
    return None


def ragged():
    return [[1.0], [1.0, 2.0]], [0, 1]


def objects():
    return np.asarray([None, 2.0] * 30), np.arange(60) % 3


def numbered():
    return {1: points()[0]}


def uneven():
    return points()[0], np.arange(59) % 3


constant = 3
"""
HELPING = "import numpy as np\n\n\ndef labels_of(count):\n    return np.arange(count) % 3\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delitem(__import__("sys").modules, "helping", raising=False)
    place = tmp_path / "project"
    place.mkdir()
    (place / "mydata.py").write_text(CODE)
    (place / "helping.py").write_text(HELPING)
    return place


def write_spec(folder: Path, arguments: str, **changes: str) -> Path:
    path = folder / "own.yaml"
    text = SPEC.format(arguments=arguments, **{**CLASSES, **changes})
    path.write_text(text.replace("{arrays: ", "{python: "))
    return path


def known(folder: Path, arguments: str, **changes: str) -> Dataset:
    spec = write_spec(folder, arguments, **changes)
    where = Where(None, False, print, trusts_code=True)
    loaded = load_spec(spec, catalogue(), run_code=lambda files, known: known, look=lambda found: look(found, where))
    [(dataset, _)] = loaded.data
    assert isinstance(dataset, Dataset)
    return dataset


@pytest.mark.parametrize(
    "written",
    [
        '"mydata.py:points"', '"mydata:points"', '"mydata.py:lists"', '"mydata.py:with_test"',
        '"mydata.py:points", arguments: {count: 60, seed: 0}',
    ],
)  # fmt: skip
def test_what_it_returns_is_taken_as_arrays_are(written: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = known(folder, f"{{function: {written}}}")
    assert np.array_equal(dataset.train.inputs, X)  # type: ignore[arg-type]
    assert np.array_equal(dataset.train.targets, Y)  # type: ignore[arg-type]
    assert (dataset.kind, dataset.class_names, dataset.folder) == ("table", ("0", "1", "2"), folder)
    assert (len(dataset.test) if dataset.test is not None else 0) == (12 if "with_test" in written else 0)
    assert "loading" not in capsys.readouterr().out


def test_arrays_by_name_go_where_the_spec_says(folder: Path) -> None:
    named = '{function: "mydata.py:by_name", inputs: right, target: kind, kind: points}'
    dataset = known(folder, named)
    assert np.array_equal(dataset.train.inputs, X[:, 2:])  # type: ignore[arg-type]
    assert (dataset.kind, dataset.class_names) == ("points", ("blue", "green", "red"))
    dataset = known(folder, '{function: "mydata.py:by_name", inputs: left, target: size}', **NUMBER)
    assert dataset.class_names is None
    assert np.array_equal(dataset.train.targets, X[:, 0])  # type: ignore[arg-type]


def test_random_numbers_begin_with_the_seed(folder: Path) -> None:
    fingerprints = {known(folder, '{function: "mydata.py:drawn"}').fingerprint for _ in range(2)}
    assert len(fingerprints) == 1


def test_an_autoencoder_needs_no_answers(folder: Path) -> None:
    spec = write_spec(folder, '{function: "mydata.py:only"}', **{**NUMBER, "units": "4"})
    spec.write_text(spec.read_text().replace("batch_size", "labels: input\n  batch_size"))
    where = Where(None, False, print, trusts_code=True)
    loaded = load_spec(spec, catalogue(), run_code=lambda files, known: known, look=lambda found: look(found, where))
    assert loaded.data[0][0].class_names is None


def line_of(text: str) -> int:
    return CODE[: CODE.index(text)].count("\n") + 1


BROKEN = {
    "fails": (
        "`mydata.py:fails` fails: FileNotFoundError: [Errno 2] No such file or directory: 'nothing.npy'. "
        f"PLACE/mydata.py, line {line_of('deeper(path)')}, in fails: deeper(path) "
        f"PLACE/mydata.py, line {line_of('return np.load')}, in deeper: return np.load(path)"
    ),
    "leaves": f"fails: SystemExit: enough. PLACE/mydata.py, line {line_of('raise SystemExit')}, in leaves",
    "cancels": "fails: Cancelled: no more. PLACE/mydata.py, line",
    "three": "returns a tuple of 3. It must return `(x, y)`",
    "nothing": "returns a NoneType. It must return `(x, y)`",
    "only": "returns a ndarray. It must return `(x, y)`",
    "ragged": "`x_train` of PLACE/mydata.py is no array: setting an array element with a sequence",
    "objects": "`x_train` of PLACE/mydata.py has Python objects (NoneType, float)",
    "numbered": "returns a dict without names of arrays",
    "uneven": "have different lengths: 60 rows in `x_train` in PLACE/mydata.py, and 59 in `y_train`",
    "by_name": "has none of the arrays `x_train`, `x`, `X`",
    "constant": "`constant` of PLACE/mydata.py is no function.",
    "point": "`point` of PLACE/mydata.py is not in it. Did you mean `points`?",
}


def test_the_working_folder_stays(folder: Path, tmp_path: Path) -> None:
    before = Path.cwd()
    known(folder, f'{{function: "mydata.py:moves", arguments: {{path: "{tmp_path}"}}}}')
    assert Path.cwd() == before


@pytest.mark.parametrize("function", BROKEN)
def test_what_is_wrong_is_told(function: str, folder: Path) -> None:
    with pytest.raises(DataError) as caught:
        known(folder, f'{{function: "mydata.py:{function}"}}')
    said = " ".join(f"{caught.value.message} {caught.value.hint}".split())
    assert BROKEN[function].replace("PLACE", str(folder)) in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            '{function: "mydata.py:points", arguments: {cuont: 3}}',
            "got an unexpected keyword argument 'cuont'. It takes",
        ),
        ('{function: "missing.py:points"}', "There is no missing.py"),
        ('{function: "missing.thing:points"}', "There is no module `missing.thing` of Python code"),
        ('{function: "syntax.py:points"}', "SyntaxError: invalid syntax"),
        (
            '{function: "imports.py:points"}',
            "ModuleNotFoundError: No module named 'nowhere_at_all'. PLACE/imports.py, line",
        ),
    ],
)
def test_code_that_cannot_be_run_is_told(arguments: str, said: str, folder: Path) -> None:
    (folder / "syntax.py").write_text("import numpy\ndef points(:\n")
    (folder / "imports.py").write_text("import nowhere_at_all\n")
    with pytest.raises(DataError) as caught:
        known(folder, arguments)
    assert said.replace("PLACE", str(folder)) in " ".join(f"{caught.value.message} {caught.value.hint}".split())


def test_nothing_is_run_unless_it_is_trusted(folder: Path, dlcli: Command) -> None:
    (folder / "mydata.py").write_text("raise ValueError('it ran')")
    spec = write_spec(folder, '{function: "mydata.py:points"}')
    for command in (["check", spec], ["check", spec, "--static"], ["data", spec], ["train", spec], ["summary", spec]):
        done = dlcli(*command)
        said = " ".join((done.out + done.err).split())
        assert "runs a function of its own for its data: `mydata.py:points`" in said
        assert (done.code, "--trust-code" in said, "it ran" in said) == (2, True, False)
    done = dlcli("check", spec, "--trust-code")
    said = " ".join((done.out + done.err).split())
    assert (done.code, "`mydata.py:points` fails: ValueError: it ran." in said) == (3, True)
    assert "own.yaml:4" in said
    with pytest.raises(SpecError, match="runs a function of its own"):
        load_spec(spec, catalogue())


def test_a_run_from_the_function_to_predictions(folder: Path, tmp_path: Path, dlcli: Command) -> None:
    spec = write_spec(folder, '{function: "mydata.py:with_test"}')
    assert dlcli("check", spec, "--trust-code").code == 0
    done = dlcli("train", spec, "--trust-code", "--runs-dir", tmp_path, "--run-name", "one", "-q")
    assert done.code == 0, done.err
    run = tmp_path / "own" / "one"
    kept = json.loads((run / "run.json").read_text())["data"]
    assert (kept["examples"], len(kept["code"]), kept["folder"]) == ({"train": 60, "test": 12}, 32, str(folder))
    refused = dlcli("evaluate", run)
    assert (refused.code, "--trust-code" in refused.err) == (3, True)
    by_split = dlcli("predict", run, "--split", "test", "--trust-code", "--json").json
    scores = json.loads((run / "metrics.json").read_text())["test"]
    assert dlcli("evaluate", run, "--trust-code", "--json").json["metrics"] == pytest.approx(scores, rel=1e-5)

    (folder / "mydata.py").write_text(CODE + "\n# another one\n")
    changed = dlcli("train", "--resume", run, "--epochs", "+1", "--trust-code", "-q")
    assert (changed.code, "the code that makes the data: its digest was" in changed.err) == (4, True)
    assert "the data: its fingerprint" not in changed.err
    (folder / "mydata.py").write_text(CODE)
    assert dlcli("train", "--resume", run, "--epochs", "+1", "-q").code == 2
    done = dlcli("train", "--resume", run, "--epochs", "+1", "--trust-code", "-q")
    assert done.code == 0, done.err

    shutil.copy(run / "checkpoints" / "best.h5", tmp_path / "moved.h5")
    points = np.random.default_rng(1).normal(size=(12, 4)) * 0.3
    points[:, 0] += np.arange(12) % 3
    np.save(tmp_path / "new.npy", points.astype("float32"))
    np.savez(tmp_path / "new.npz", x_train=points.astype("float32"))
    by_split = dlcli("predict", run, "--split", "test", "--trust-code", "--json").json
    shutil.rmtree(folder)
    for name in ("new.npy", "new.npz"):
        predicted = dlcli("predict", tmp_path / "moved.h5", tmp_path / name, "--json").json
        assert [row["probability"] for row in predicted] == pytest.approx(
            [row["probability"] for row in by_split], abs=1e-6
        )
    gone = dlcli("evaluate", tmp_path / "moved.h5", "--trust-code")
    assert (gone.code, "There is no mydata.py" in gone.err) == (3, True)
