"""The lints of a built model, and what all lints take for granted of Keras."""

from __future__ import annotations

import importlib
import inspect
import os
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml

from dlcli.machine import machine_memory
from dlcli.model.lints import lint_model
from dlcli.model.summary import LayerSummary, ModelSummary, WeightSummary
from dlcli.model.units import readable_bytes
from dlcli.spec.grammar import Spec
from dlcli.spec.keras_objects import KerasObject
from dlcli.spec.lints import MODEL_CODES
from dlcli.spec.lints.inputs import OF_A_RANGE
from dlcli.spec.parts import Parts
from tests.lint_cases import layer, text_of

GIB = 2**30
PARTS = Parts.of(
    Spec.model_validate({"name": "spec", **yaml.safe_load(text_of(["Flatten", "Dense: {units: 9}"], optimizer="SGD"))})
)


def dense(name: str, inputs: int, units: int, *, reads: str = "input", is_trained: bool = True) -> LayerSummary:
    kernel = WeightSummary("kernel", (inputs, units), is_trained)
    return LayerSummary(name, "Dense", ((None, units),), (kernel,), reads=(reads,))


def summary_of(*layers: LayerSummary) -> ModelSummary:
    return ModelSummary("model", {"input": (None, 9)}, layers)


class TestModel:
    def test_a_batch_that_does_not_fit(self) -> None:
        # 2²⁰ numbers an example, with 64 examples a quarter of a GiB; four batches of 16 fit.
        large = LayerSummary("wide", "Dropout", ((None, 1024, 1024),), reads=("input",))
        summary = summary_of(large, dense("dense", 8, 8, reads="wide"))
        assert PARTS.dataset is not None
        parts = replace(PARTS, dataset=PARTS.dataset.model_copy(update={"batch_size": 64}))
        [problem] = lint_model(summary, parts, GIB // 16)
        assert (problem.code, problem.path) == ("out-of-memory", ("dataset", "batch_size"))
        assert "at least 256 MiB of memory, but this machine has 64 MiB" in problem.message
        assert problem.hint == "Use a smaller batch: at most `batch_size: 8`."
        assert list(lint_model(summary, parts, GIB)) == []
        assert list(lint_model(summary, parts, None)) == []

    @pytest.mark.parametrize(
        ("precision", "device", "instructions", "says"),
        [
            ("mixed_float16", "cpu", "amx_bf16", "16 to 200 times"), ("mixed_float16", "gpu", "", None),
            ("mixed_bfloat16", "cpu", "avx2", "no instructions"), ("mixed_bfloat16", "cpu", "avx2 amx_bf16", None),
            ("mixed_float16", None, "", None), ("float32", "cpu", "", None),
        ],
    )  # fmt: skip
    def test_precision_that_is_slow_here(
        self, precision: str, device: str | None, instructions: str, says: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("dlcli.model.lints.processor_instructions", lambda: frozenset(instructions.split()))
        found = list(lint_model(summary_of(dense("a", 9, 3)), replace(PARTS, precision=precision), None, device))
        assert [problem.code for problem in found] == (["slow-precision"] if says else [])
        assert all(str(says) in problem.message for problem in found)

    def test_a_layer_that_does_not_fit(self) -> None:
        summary = summary_of(
            LayerSummary("flatten", "Flatten", ((None, 2**14),), reads=("input",)),
            dense("dense", 2**14, 2**14, reads="flatten"),
        )
        [problem] = lint_model(summary, replace(PARTS, optimizer=KerasObject.model_validate("Adam")), 2 * GIB)
        assert (problem.code, problem.path) == ("out-of-memory", layer(1))
        assert problem.trail[:3] == ("weights: 1 GiB", "their gradients: 1 GiB", "what Adam keeps: 2 GiB")
        assert problem.hint is not None
        assert "`dense`" in problem.hint

    def test_frozen_weights_need_no_gradients(self) -> None:
        frozen = summary_of(dense("dense", 2**14, 2**14, is_trained=False), dense("last", 9, 9, reads="dense"))
        assert list(lint_model(frozen, PARTS, int(1.1 * GIB))) == []

    def test_reshaping_copies_nothing(self) -> None:
        flat = LayerSummary("flatten", "Flatten", ((None, 2**24),), reads=("input",))
        assert list(lint_model(summary_of(flat, dense("dense", 9, 9, reads="flatten")), PARTS, GIB)) == []

    def test_nothing_to_train(self) -> None:
        [problem] = lint_model(summary_of(dense("dense", 9, 9, is_trained=False)), PARTS, None)
        assert (problem.code, problem.path) == ("nothing-to-train", ("model", "layers"))
        assert "all its 81 weights are frozen" in problem.message
        [problem] = lint_model(summary_of(LayerSummary("flatten", "Flatten", ((None, 9),))), PARTS, None)
        assert "it has no weights" in problem.message

    def test_one_layer_that_has_nearly_everything(self) -> None:
        conv = LayerSummary(
            "conv", "Conv2D", ((None, 64, 64, 32),), (WeightSummary("kernel", (3, 3, 3, 32), True),), reads=("input",)
        )
        flat = LayerSummary("flatten", "Flatten", ((None, 2**17),), reads=("conv",))
        drop = LayerSummary("drop", "Dropout", ((None, 2**17),), reads=("flatten",))
        large = dense("dense", 2**17, 100, reads="drop")
        [problem] = lint_model(summary_of(conv, flat, drop, large), PARTS, None)
        assert (problem.code, problem.path) == ("dense-after-flatten", ("model", "layers"))
        assert "13,107,200 of the model's 13,108,064 parameters" in problem.message
        of_input = replace(flat, reads=("input",))  # a perceptron: there is nothing to pool
        assert list(lint_model(summary_of(of_input, drop, large), PARTS, None)) == []
        small = dense("dense", 2**17, 50, reads="drop")
        assert list(lint_model(summary_of(conv, flat, drop, small), PARTS, None)) == []

    def test_every_code(self) -> None:
        assert set(MODEL_CODES) == {"out-of-memory", "slow-precision", "nothing-to-train", "dense-after-flatten"}

    def test_this_machine(self) -> None:
        memory = machine_memory()
        assert memory is not None
        assert memory > GIB // 2


@pytest.fixture(scope="module")
def keras() -> ModuleType:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return importlib.import_module("keras")


class TestWhatKerasDoes:
    """What the rules take for granted of Keras, and of dlcli's own heavier modules."""

    @pytest.mark.parametrize(
        ("module", "name", "argument", "value"),
        [
            ("callbacks", "EarlyStopping", "patience", 0),
            ("callbacks", "EarlyStopping", "monitor", "val_loss"),
            ("callbacks", "ReduceLROnPlateau", "patience", 10),
            ("callbacks", "ReduceLROnPlateau", "monitor", "val_loss"),
            ("callbacks", "ModelCheckpoint", "monitor", "val_loss"),
            ("layers", "RandomFlip", "mode", "horizontal_and_vertical"),
            ("metrics", "TopKCategoricalAccuracy", "k", 5),
            ("metrics", "SparseTopKCategoricalAccuracy", "k", 5),
            ("optimizers", "Adadelta", "learning_rate", 0.001),
            ("optimizers", "SGD", "momentum", 0.0),
            ("optimizers.schedules", "PolynomialDecay", "end_learning_rate", 0.0001),
            *(("layers", name, "value_range", (0, 255)) for name in sorted(OF_A_RANGE)),
        ],
    )
    def test_default(self, keras: ModuleType, module: str, name: str, argument: str, value: object) -> None:
        found = keras
        for part in (*module.split("."), name):
            found = getattr(found, part)
        assert inspect.signature(found.__init__).parameters[argument].default == value

    @pytest.mark.parametrize(
        ("written", "arguments"),
        [
            ("SGD", {}), ("SGD", {"momentum": 0.9}), ("RMSprop", {}), ("RMSprop", {"momentum": 0.9, "centered": True}),
            ("Adam", {}), ("Adam", {"amsgrad": True, "use_ema": True}), ("AdamW", {}), ("Adamax", {}), ("Nadam", {}),
            ("Adadelta", {}), ("Ftrl", {}), ("Lamb", {}), ("Adagrad", {}), ("Lion", {}), ("Adafactor", {}),
            ("SGD", {"gradient_accumulation_steps": 2}),
        ],
    )  # fmt: skip
    def test_what_an_optimizer_keeps(self, keras: ModuleType, written: str, arguments: dict[str, Any]) -> None:
        weight = keras.Variable(np.zeros((7, 5), dtype=np.float32))
        optimizer = getattr(keras.optimizers, written)(**arguments)
        optimizer.build([weight])
        kept = [variable for variable in optimizer.variables if tuple(variable.shape) == (7, 5)]
        parts = replace(PARTS, optimizer=KerasObject.model_validate({written: arguments} if arguments else written))
        [problem] = lint_model(summary_of(dense("dense", 2**14, 2**14)), parts, GIB)
        assert f"what {written} keeps: {readable_bytes(len(kept) * GIB)}" in problem.trail

    def test_preparation_if_the_spec_names_none(self, keras: ModuleType) -> None:
        from dlcli.data.preparation import usual_layers

        scaled = usual_layers("images", (8, 8))[0]
        assert (type(scaled).__name__, scaled.scale, scaled.offset) == ("Rescaling", 1 / 255, 0.0)
        assert [type(made).__name__ for made in usual_layers("table", (4,))] == ["Normalization"]
        assert usual_layers("points", (2,)) == []

    def test_a_rate_that_a_schedule_has_cannot_be_set(self, keras: ModuleType) -> None:
        optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 10))
        with pytest.raises(TypeError, match="not settable"):
            optimizer.learning_rate = 0.1

    def test_normalization_that_is_not_fitted_changes_nothing(self, keras: ModuleType) -> None:
        given = np.array([[100.0, 200.0], [300.0, 500.0]], dtype=np.float32)
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(keras.layers.Normalization()(given)), given)
