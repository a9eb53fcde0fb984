"""Every object that Keras has can be written in a spec, but for those that are named here with the reason.

python -m tests.test_every_object    # the table of those, as the README has it
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pytest
import yaml

from dlcli.errors import SpecError
from dlcli.model.building import Network, make_layers
from dlcli.model.objects import ObjectError, make_object
from dlcli.spec.catalogue import KINDS, RUNS_CODE
from dlcli.spec.keras_objects import MIXING
from dlcli.spec.loading import load_spec
from tests.conftest import REPOSITORY, shipped_catalogue

# Shapes of examples: a vector, a sequence, an image, a video, a signal, and two with more axes.
SHAPES = ((8,), (6, 4), (16, 16, 3), (4, 8, 8, 3), (2048, 1), (2048,), (4, 6, 4), (4, 4, 8, 8, 3))
DENSE, LSTM = {"Dense": {"units": 3}}, {"LSTM": {"units": 3}}
# What is given to an argument that must be given, by its name, and by the class where that says more.
GIVEN: dict[str, Any] = {
    "drop_path_rate": 0.1, "init_values": 0.1, "projection_dim": 4,
    "units": 3, "filters": 2, "kernel_size": 2, "rate": 0.5, "stddev": 0.1, "input_dim": 10, "output_dim": 3, "n": 2,
    "num_heads": 2, "key_dim": 3, "head_dim": 4, "num_query_heads": 4, "num_key_value_heads": 2, "target_shape": [8],
    "dims": [1], "height": 8, "width": 8, "factor": 0.2, "scale": 2.0, "axes": 1, "num_bins": 3, "output_size": 2,
    "height_factor": 0.2, "width_factor": 0.2, "max_number": 4, "layer": DENSE, "cell": {"LSTMCell": {"units": 3}},
    "cells": [{"GRUCell": {"units": 3}}, {"LSTMCell": {"units": 2}}], "equation": "ab,bc->ac", "output_shape": 3,
    "layers": [{"RandomFlip": {}}, {"RandomRotation": {"factor": 0.1}}], "learning_rate": 0.1, "decay_steps": 10,
    "decay_rate": 0.5, "initial_learning_rate": 0.1, "first_decay_steps": 10, "boundaries": [1, 2], "shape": [8],
    "values": [0.1, 0.2, 0.3], "filename": "log.csv", "filepath": "model.keras", "activation": "relu",
    "inner_optimizer": "Adam", "num_classes": 2, "target_class_ids": [0], "recall": 0.5, "precision": 0.5,
    "specificity": 0.5, "pool_size": 2, "sensitivity": 0.5, "backup_dir": "backup",
}  # fmt: skip
OWN: dict[str, dict[str, Any]] = {
    "Bidirectional": {"layer": LSTM}, "Reshape": {"target_shape": [4, 2]}, "RandomCrop": {"height": 4, "width": 4},
    "Discretization": {"bin_boundaries": [0.0, 1.0]}, "GroupNormalization": {"groups": 2}, "InputLayer": {"shape": [8]},
    "CategoryEncoding": {"num_tokens": 4}, "RandomPosterization": {"factor": 4},
}  # fmt: skip
READ_TWO = ("Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract", "Attention",
            "AdditiveAttention", "HashedCrossing")  # fmt: skip
CELLS = ("GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells")
FUNCTION = "is made of a function, which a spec has not"
REASONS = {
    **{("layer", name): why for name, why in RUNS_CODE.items()},
    ("layer", "Wrapper"): "is the base of others, and does nothing by itself",
    ("loss", "LossFunctionWrapper"): FUNCTION,
    ("metric", "MeanMetricWrapper"): FUNCTION,
    ("callback", "LearningRateScheduler"): f"{FUNCTION}; a schedule is given to the optimizer",
    ("optimizer", "MultiOptimizer"): "is given the layers themselves, for each its optimizer",
    ("callback", "OrbaxCheckpoint"): "needs another package, and writes checkpoints that are not dlcli's",
}
OBJECTS = [(kind, name) for kind in KINDS for name in sorted({*shipped_catalogue().names(kind), *(
    one for other, one in REASONS if other == kind)}) if name not in vars(keras.applications)]  # fmt: skip


def table() -> str:
    """What cannot be written in a spec, and why."""
    kinds = {kind: about.label.removeprefix("a Keras ") for kind, about in KINDS.items()}
    rows = [f"| `{name}` | {kinds[kind]} | {why} |" for (kind, name), why in sorted(REASONS.items())]
    return "\n".join(["| class | kind | why not |", "|---|---|---|", *rows])


def arguments(kind: str, name: str) -> dict[str, Any]:
    known = shipped_catalogue().parameters(kind, name) or {}
    given = {argument: GIVEN[argument] for argument, one in known.items() if one.required and argument in GIVEN}
    return {**given, **(OWN.get(name, {}) if kind == "layer" else {})}


def build_layer(name: str, folder: Path) -> None:
    """Let a spec with this layer be read, and the layer be called for some kind of data."""
    entry: dict[str, Any] = {name: arguments("layer", name)}
    if name in CELLS:
        entry = {"RNN": {"cell": entry}}
    if name in READ_TWO:
        entry["inputs"] = ["input", "input"]
    entries = [entry, {"Identity": {}}] if name in ("Input", "InputLayer") else [entry]
    path = folder / "spec.yaml"
    dataset: dict[str, Any] = {"source": "iris"}
    if name in MIXING:  # which only augment
        entries, dataset = ["Flatten"], {"source": "digits", "augment": [entry]}
    path.write_text(yaml.safe_dump({"dataset": dataset, "model": {"layers": entries}, "loss": "mse"}))
    loaded = load_spec(path, shipped_catalogue())
    make_layers(loaded, ("dataset", "augment"))
    said = []
    for shape in SHAPES:
        try:
            with keras.StatelessScope(initialize_variables=False):
                Network(loaded, shape).call_layers()
        except (SpecError, ObjectError) as error:
            said.append(f"{shape}: {error}")
        else:
            return
    raise AssertionError("\n".join(said))


# Keras says of a Pipeline's layers that it does not know what they will be called with.
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("kind", "name"), OBJECTS)
def test_is_built_from_data_alone(kind: str, name: str, tmp_path: Path) -> None:
    given = arguments(kind, name)
    try:
        if kind == "layer":
            build_layer(name, tmp_path)
        else:
            make_object(kind, {name: given} if given else name, ())
    except (AssertionError, SpecError, ObjectError):
        assert (kind, name) in REASONS
        return
    finally:
        keras.utils.clear_session(free_memory=False)
    assert (kind, name) not in REASONS


def test_the_readme_names_what_cannot() -> None:
    assert table() in (REPOSITORY / "README.md").read_text(encoding="utf-8"), "run `python -m tests.test_every_object`"


if __name__ == "__main__":
    print(table())  # noqa: T201
