"""Blocks of layers, and layers that are called again: what they are written out as, and what Keras makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from dlcli.spec.composition import compose
from dlcli.spec.loading import load_spec
from dlcli.spec.resolved import resolved_text
from tests.conftest import CONFIGS, Command, run_quietly, shipped_catalogue

BLOCKS = """
hidden:
  parameters: {units: 8, activation: relu}
  layers:
    - Dense: {units: "${units}", activation: "${activation}"}
    - Dropout: {rate: 0.1}
residual:
  parameters: {units: , more: true}
  layers:
    - hidden: {units: "${units}"}
    - Dense: {units: "${units}", name: "of_${units}_${more}"}
      name: second
    - Add:
      inputs: [input, second]
weighted:
  inputs: [left, right]
  layers:
    - Multiply:
      inputs: [left, right]
    - Dense: {units: 4}
short:
  layers:
    - Dense: {units: 4}
      name: one
    - Add:
      inputs: [input, one]
pair:
  layers:
    - Dense: {units: 3}
      name: one
    - hidden
      """


def written(folder: Path, layers: str, more: str = "", blocks: str = BLOCKS) -> dict[str, Any]:
    """A spec with these layers and blocks."""
    model = {"blocks": yaml.safe_load(blocks), "layers": yaml.safe_load(layers)}
    spec = {"dataset": {"source": "iris"}, "model": model}
    text = yaml.safe_dump({**spec, "loss": "sparse_categorical_crossentropy"}, sort_keys=False) + more
    (folder / "spec.yaml").write_text(text, encoding="utf-8")
    return compose(folder / "spec.yaml").data


def layers_of(folder: Path, layers: str, more: str = "", blocks: str = BLOCKS) -> Any:
    return written(folder, layers, more, blocks)["model"]["layers"]


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        # The names that blocks within blocks get are only there where something reads them.
        (
            "[hidden, {hidden: {units: 3}, name: mine}]",
            "[{Dense: {units: 8, activation: relu}}, {Dropout: {rate: 0.1}, name: hidden_1},"
            " {Dense: {units: 3, activation: relu}}, {Dropout: {rate: 0.1}, name: mine}]",
        ),
        (
            "[Flatten, {residual: {units: 4}}]",
            "[{Flatten: , name: residual_1_input}, {Dense: {units: 4, activation: relu}}, {Dropout: {rate: 0.1}},"
            " {Dense: {units: 4, name: of_4_true}, name: residual_1_second},"
            " {Add: , inputs: [residual_1_input, residual_1_second], name: residual_1}]",
        ),
        (
            "[{residual: {units: 4}, repeat: 2, trainable: false}]",
            "[{Dense: {units: 4, activation: relu}, trainable: false}, {Dropout: {rate: 0.1}, trainable: false},"
            " {Dense: {units: 4, name: of_4_true}, name: residual_1_1_second, trainable: false},"
            " {Add: , inputs: [input, residual_1_1_second], name: residual_1_1, trainable: false},"
            " {Dense: {units: 4, activation: relu}, trainable: false}, {Dropout: {rate: 0.1}, trainable: false},"
            " {Dense: {units: 4, name: of_4_true}, name: residual_1_2_second, trainable: false},"
            " {Add: , inputs: [residual_1_1, residual_1_2_second], name: residual_1_2, trainable: false}]",
        ),
        (
            "[{Dense: {units: 4}, name: a}, {Dense: {units: 4}, name: b, inputs: input},"
            " {weighted: , inputs: [a, b], name: joined}, {Dense: {units: 1}, inputs: joined}]",
            "[{Dense: {units: 4}, name: a}, {Dense: {units: 4}, name: b, inputs: input},"
            " {Multiply: , inputs: [a, b]}, {Dense: {units: 4}, name: joined}, {Dense: {units: 1}, inputs: joined}]",
        ),
        (
            "[{Dense: {units: 4}, name: a}, {Dense: {units: 4}, inputs: input, name: b}, {reuse: a, name: c}]",
            "[{Dense: {units: 4}, name: a}, {Dense: {units: 4}, inputs: input, name: b},"
            " {Dense: {units: 4}, name: c, reuse: a}]",
        ),
        (
            "[{pair: , name: tower, inputs: input}, {reuse: tower, inputs: input, name: again}]",
            "[{Dense: {units: 3}, name: tower_one, inputs: input},"
            " {Dense: {units: 8, activation: relu}, name: tower_layer2}, {Dropout: {rate: 0.1}, name: tower},"
            " {Dense: {units: 3}, name: again_tower_one, reuse: tower_one, inputs: input},"
            " {Dense: {units: 8, activation: relu}, name: again_tower_layer2, reuse: tower_layer2},"
            " {Dropout: {rate: 0.1}, name: again, reuse: tower}]",
        ),
        (
            "[{Dense: {units: 4}, name: a}, {short: , name: b}, {reuse: b, name: c, inputs: input}, {reuse: b}]",
            "[{Dense: {units: 4}, name: a}, {Dense: {units: 4}, name: b_one}, {Add: , inputs: [a, b_one], name: b},"
            " {Dense: {units: 4}, name: c_b_one, reuse: b_one, inputs: input},"
            " {Add: , inputs: [input, c_b_one], name: c, reuse: b},"
            " {Dense: {units: 4}, name: b_5_b_one, reuse: b_one},"
            " {Add: , inputs: [c, b_5_b_one], name: b_5, reuse: b}]",
        ),
        (
            "[{Input: {shape: [4]}}, {short: , name: b}]",
            "[{Input: {shape: [4]}}, {Dense: {units: 4}, name: b_one}, {Add: , inputs: [input, b_one], name: b}]",
        ),
    ],
    ids=[
        "names",
        "the layer above",
        "repeat",
        "several inputs",
        "reuse",
        "reuse of a block",
        "reuse of a block that reads its input twice",
        "an input that is written",
    ],
)
def test_is_written_out(layers: str, expected: str, tmp_path: Path) -> None:
    plain = [{entry: None} if isinstance(entry, str) else entry for entry in layers_of(tmp_path, layers)]
    assert plain == yaml.safe_load(expected)


def test_parameters_may_be_variables(tmp_path: Path) -> None:
    found = layers_of(tmp_path, "[{hidden: {units: '${wide}'}}]", "variables: {wide: 99}\n")
    assert found[0] == {"Dense": {"units": 99, "activation": "relu"}}


def test_a_variable_in_a_block_is_used(tmp_path: Path) -> None:
    blocks = "never: {layers: [Dense: {units: '${wide}'}]}"
    written(tmp_path, "[Flatten]", "variables: {wide: 99}\n", blocks)
    [warning] = compose(tmp_path / "spec.yaml").warnings
    assert warning.code == "unused-block"


def test_what_a_run_keeps_is_the_same_spec(tmp_path: Path) -> None:
    written(tmp_path, "[{residual: {units: 4}, repeat: 2}, {reuse: residual_1_1_second}]")
    loaded = load_spec(tmp_path / "spec.yaml", shipped_catalogue())
    (tmp_path / "resolved.yaml").write_text(resolved_text(loaded), encoding="utf-8")
    again = load_spec(tmp_path / "resolved.yaml", shipped_catalogue())
    assert again.spec.resolved() == {**loaded.spec.resolved(), "name": "spec"}
    assert "blocks" not in again.spec.resolved()["model"]
    assert "spec.yaml" in resolved_text(loaded, origins=True).split("units: 4")[1].splitlines()[0]


def test_growth_is_bounded(tmp_path: Path) -> None:
    blocks = {f"b{n}": {"layers": [f"b{n + 1}"] * 10} for n in range(8)} | {"b8": {"layers": ["Flatten"]}}
    for layers in ("[b0]", "[{b7: , repeat: 1000000000}]"):
        written(tmp_path, layers, blocks=yaml.safe_dump(blocks))
        [problem] = compose(tmp_path / "spec.yaml").problems
        assert "more than 10,000 layers" in problem.message


def test_a_mistake_in_a_block_is_told_once(tmp_path: Path, dlcli: Command) -> None:
    written(tmp_path, "[hidden, hidden, hidden]", blocks="hidden: {layers: [Dens: {units: 3}]}")
    done = dlcli("check", "--static", tmp_path / "spec.yaml", "--json")
    assert [problem["message"] for problem in done.json["files"][0]["problems"]] == ["`Dens` is not a Keras layer."]


def test_a_layer_that_is_called_again_has_its_weights_once(tmp_path: Path, dlcli: Command) -> None:
    layers = """
- Dense: {units: 4}
  name: shared
- Dense: {units: 4, activation: tanh}
  name: between
- reuse: shared
  name: again
- Add:
  inputs: [again, shared]
- Dense: {units: 3, activation: softmax}
"""
    written(tmp_path, layers, "train: {epochs: 1}\n", blocks="{}")
    document = dlcli("summary", tmp_path / "spec.yaml", "--json").json
    assert document["totals"]["parameters"] == (4 * 4 + 4) * 2 + 15
    shared = next(layer for layer in document["layers"] if layer["name"] == "shared")
    assert len(shared["output_shapes"]) == 2
    assert run_quietly("train", tmp_path / "spec.yaml", "--runs-dir", tmp_path, "--run-name", "one", "-q") == 0
    assert dlcli("evaluate", tmp_path / "spec" / "one").code == 0


def test_residual_network_has_the_parameters_of_its_paper(dlcli: Command) -> None:
    document = dlcli("summary", CONFIGS / "cifar10_resnet20.yaml", "--json").json
    assert document["totals"]["trainable_parameters"] == 272_474
    assert json.dumps(document).count('"class_name": "Conv2D"') == 19 + 2


def test_residual_network_with_the_shortcuts_of_its_paper(dlcli: Command, tmp_path: Path) -> None:
    """Without weights: every second row and column, and channels of zeros besides (He et al. 2016, their option A)."""
    text = (CONFIGS / "cifar10_resnet20.yaml").read_text(encoding="utf-8")
    projection = """        - convolution: {filters: "${filters}", strides: 2, kernel_size: 1}
          name: shortcut
          inputs: input
"""
    padding = """        - MaxPooling2D: {pool_size: 1, strides: 2}
          inputs: input
        - Reshape: {target_shape: [-1, "${before}"]}
        - Permute: {dims: [2, 1]}
        - ZeroPadding1D: {padding: ["${more}", "${more}"]}
        - Permute: {dims: [2, 1]}
        - Reshape: {target_shape: ["${side}", "${side}", "${filters}"]}
          name: shortcut
"""
    assert text.count(projection) == 1
    text = text.replace(projection, padding)
    text = text.replace(
        "residual_down:\n      parameters: {filters: }",
        "residual_down:\n      parameters: {filters: , before: , more: , side: }",
    )
    text = text.replace("residual_down: {filters: 32}", "residual_down: {filters: 32, before: 16, more: 8, side: 16}")
    text = text.replace("residual_down: {filters: 64}", "residual_down: {filters: 64, before: 32, more: 16, side: 8}")
    spec = tmp_path / "padded.yaml"
    spec.write_text(text, encoding="utf-8")
    assert dlcli("summary", spec, "--json").json["totals"]["trainable_parameters"] == 269_722
