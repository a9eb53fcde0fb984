"""`extends`, `variables` and what comes of them; their mistakes are in tests/broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dlcli.errors import SpecError
from dlcli.spec.composition import compose
from dlcli.spec.loading import examine, load_spec
from dlcli.spec.overrides import parse_override
from dlcli.spec.reading import read_document
from dlcli.spec.resolved import resolved_text
from tests.conftest import shipped_catalogue

BASE = """\
name: base
dataset: {source: {moons: {samples: 100, noise: 0.2}}, batch_size: 10}
model:
  layers:
    - Dense: {units: 8, activation: relu}
    - Dense: {units: 1, activation: sigmoid}
loss: binary_crossentropy
optimizer: {Adam: {learning_rate: 0.01, beta_1: 0.8}}
metrics: [accuracy, AUC]
train: {epochs: 3, monitor: loss}
"""


def data(folder: Path, text: str, base: str = BASE, *sets: str) -> dict[str, Any]:
    (folder / "base.yaml").write_text(base, encoding="utf-8")
    (folder / "spec.yaml").write_text(text, encoding="utf-8")
    return compose(folder / "spec.yaml", [parse_override(written) for written in sets]).data


class TestExtends:
    def test_mappings_are_merged_and_lists_replaced(self, tmp_path: Path) -> None:
        found = data(tmp_path, "extends: base.yaml\nmetrics: [mse]\ntrain: {epochs: 9}\ndataset: {batch_size: 5}\n")
        assert found["train"] == {"epochs": 9, "monitor": "loss"}
        assert found["metrics"] == ["mse"]
        assert found["dataset"] == {"source": {"moons": {"samples": 100, "noise": 0.2}}, "batch_size": 5}
        assert "extends" not in found

    def test_arguments_of_the_same_object_are_merged(self, tmp_path: Path) -> None:
        found = data(tmp_path, "extends: base.yaml\noptimizer: {Adam: {learning_rate: 0.1}}\n")
        assert found["optimizer"] == {"Adam": {"learning_rate": 0.1, "beta_1": 0.8}}

    @pytest.mark.parametrize(
        ("key", "written", "expected"),
        [
            ("optimizer", "{SGD: {momentum: 0.9}}", {"SGD": {"momentum": 0.9}}),
            ("optimizer", "SGD", "SGD"),
            ("optimizer", "{Adam: {learning_rate: {CosineDecay: {initial_learning_rate: 0.1, decay_steps: 5}}}}",
             {"Adam": {"learning_rate": {"CosineDecay": {"initial_learning_rate": 0.1, "decay_steps": 5}},
                       "beta_1": 0.8}}),
            ("dataset", "{source: {circles: {noise: 0.1}}}", {"source": {"circles": {"noise": 0.1}}, "batch_size": 10}),
        ],
    )  # fmt: skip
    def test_another_object_replaces_the_one_of_the_base(
        self, key: str, written: str, expected: Any, tmp_path: Path
    ) -> None:
        assert data(tmp_path, f"extends: base.yaml\n{key}: {written}\n")[key] == expected

    def test_the_name_is_not_inherited(self, tmp_path: Path) -> None:
        assert data(tmp_path, "extends: base.yaml\n")["name"] == "spec"

    def test_is_relative_to_the_file_that_says_it(self, tmp_path: Path) -> None:
        (tmp_path / "deep").mkdir()
        (tmp_path / "deep" / "middle.yaml").write_text("extends: ../base.yaml\nseed: 4\n", encoding="utf-8")
        found = data(tmp_path, "extends: deep/middle.yaml\n")
        assert (found["seed"], found["loss"]) == (4, "binary_crossentropy")

    def test_values_know_their_files(self, tmp_path: Path) -> None:
        data(tmp_path, "extends: base.yaml\ntrain: {epochs: 9}\n")
        document = compose(tmp_path / "spec.yaml")
        assert document.mark(("train", "epochs")).position.file.endswith("spec.yaml")
        assert document.mark(("train", "monitor")).position.file.endswith("base.yaml")
        assert document.mark(("train", "monitor")).position.line == 10


class TestVariables:
    def test_alone_a_variable_keeps_its_type(self, tmp_path: Path) -> None:
        text = "extends: base.yaml\nvariables: {n: 7, list: [mse], map: {epochs: 2}}\n"
        found = data(tmp_path, text + "seed: ${n}\nmetrics: ${list}\ntrain: ${map}\n")
        assert (found["seed"], found["metrics"], found["train"]["epochs"]) == (7, ["mse"], 2)
        assert "variables" not in found

    def test_within_a_text_it_is_written_out(self, tmp_path: Path) -> None:
        text = "variables: {n: 7, on: true, x: a}\nname: run_${n}_${on}_${x}$${n}\n"
        assert data(tmp_path, text)["name"] == "run_7_true_a${n}"

    def test_variables_stand_for_variables(self, tmp_path: Path) -> None:
        assert data(tmp_path, "variables: {a: '${b}', b: 3}\nseed: ${a}\n")["seed"] == 3

    def test_those_of_the_base_are_there_and_can_be_set(self, tmp_path: Path) -> None:
        base = BASE + "variables: {width: 4}\nseed: ${width}\n"
        assert data(tmp_path, "extends: base.yaml\n", base)["seed"] == 4
        assert data(tmp_path, "extends: base.yaml\nvariables: {width: 5}\n", base)["seed"] == 5
        assert data(tmp_path, "extends: base.yaml\n", base, "variables.width=6")["seed"] == 6

    def test_a_wrong_value_is_shown_where_it_is_set_and_where_it_is_used(self, tmp_path: Path) -> None:
        path = tmp_path / "spec.yaml"
        path.write_text(BASE.replace("epochs: 3", "epochs: ${n}") + "variables:\n  n: many\n", encoding="utf-8")
        [problem] = examine(path, shipped_catalogue()).errors
        assert problem.position is not None
        assert (problem.position.line, problem.position.column) == (12, 6)
        assert problem.trail == (f"`${{n}}` is used at {path}:10:17.",)

    def test_one_that_nobody_uses_is_a_warning(self, tmp_path: Path) -> None:
        path = tmp_path / "spec.yaml"
        path.write_text(BASE + "variables: {n: 3}\n", encoding="utf-8")
        assert "unused-variable" in [problem.code for problem in examine(path, shipped_catalogue()).warnings]

    def test_growth_is_bounded(self, tmp_path: Path) -> None:
        lines = ["variables:", "  v0: [a, a, a, a, a, a, a, a, a, a]"]
        lines += [f"  v{n}: [{', '.join(['${v' + str(n - 1) + '}'] * 10)}]" for n in range(1, 12)]
        path = tmp_path / "spec.yaml"
        path.write_text("\n".join([*lines, "seed: ${v11}", ""]), encoding="utf-8")
        assert any("more than" in problem.message for problem in compose(path).problems)


class TestResolved:
    def test_reading_it_again_gives_the_same_spec(self, tmp_path: Path) -> None:
        data(tmp_path, "extends: base.yaml\nvariables: {n: 7}\nseed: ${n}\n")
        loaded = load_spec(tmp_path / "spec.yaml", shipped_catalogue())
        for origins in (False, True):
            (tmp_path / "resolved.yaml").write_text(resolved_text(loaded, origins=origins), encoding="utf-8")
            assert load_spec(tmp_path / "resolved.yaml", shipped_catalogue()).spec == loaded.spec

    def test_every_value_says_where_it_comes_from(self, tmp_path: Path) -> None:
        text = "extends: base.yaml\nvariables: {n: 7}\nseed: ${n}\n"
        data(tmp_path, text)
        path = tmp_path / "spec.yaml"
        loaded = load_spec(path, shipped_catalogue(), [parse_override("train.epochs=4")])
        shown = resolved_text(loaded, origins=True)
        lines = [line for line in shown.splitlines() if not line.startswith(" " * 6)]
        origins = {line.partition(":")[0].strip(" -"): line.partition("  # ")[2] for line in lines}
        assert origins["epochs"] == "--set train.epochs=4"
        assert origins["seed"] == f"{path}:2:16 (${{n}} at {path}:3:7)"
        assert origins["monitor"] == f"{tmp_path / 'base.yaml'}:10:29"
        assert origins["shuffle"] == "default"
        assert origins["name"] == "the file's own name"


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError):
        compose(tmp_path / "none.yaml")
    with pytest.raises(SpecError):
        read_document(tmp_path / "none.yaml")
