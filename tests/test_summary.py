"""Summaries of the lecture networks and of small graphs: counts by hand, JSON, tables and drawings."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from rich.console import Console

from dlcli.cli.layer_table import ascii_drawing, layer_table
from dlcli.errors import UsageError
from dlcli.model.summary import LayerSummary, ModelSummary, WeightSummary, explain, summarize


@pytest.fixture(scope="module")
def keras() -> ModuleType:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return importlib.import_module("keras")


def _dense(layers: Any, *units: int, activation: str = "relu") -> list[Any]:
    return [layers.Dense(size, activation=activation) for size in units]


def _two_convolutions(layers: Any) -> list[Any]:
    convolutions = [layers.Conv2D(32, 5, activation="relu") for _ in range(2)]
    return [*convolutions, layers.MaxPooling2D(), layers.Flatten(), *_dense(layers, 128)]


def _four_convolutions(layers: Any, padding: str, filters: tuple[int, int, int, int], units: int) -> list[Any]:
    stack = []
    for first, second in (filters[:2], filters[2:]):
        stack += [
            layers.Conv2D(first, 3, padding=padding, activation="relu"),
            layers.Conv2D(second, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
        ]
    return [*stack, layers.Flatten(), *_dense(layers, units), layers.Dropout(0.5)]


# The input shape of each lecture network, and its layers but for the last.
LECTURE_LAYERS: dict[str, tuple[tuple[int, ...], Callable[[Any], list[Any]]]] = {
    "mnist_mlp": ((28, 28), lambda layers: [layers.Flatten(), *_dense(layers, 512, 32)]),
    "mnist_mlp_sgd": ((784,), lambda layers: _dense(layers, 64)),
    "two_class_sigmoid": ((2,), lambda layers: _dense(layers, 100, 100, activation="sigmoid")),
    "mnist_cnn": ((28, 28, 1), _two_convolutions),
    "mnist_mlp_dropout": (
        (784,),
        lambda layers: [layer for _ in range(3) for layer in (*_dense(layers, 512), layers.Dropout(0.2))],
    ),
    "mnist_cnn_dropout": ((28, 28, 1), lambda layers: _four_convolutions(layers, "valid", (32, 64, 64, 64), 128)),
    "cifar10_cnn": ((32, 32, 3), lambda layers: _four_convolutions(layers, "same", (32, 32, 64, 64), 512)),
    "mnist_two_layer": ((784,), lambda layers: _dense(layers, 512)),
}

LECTURE_COUNTS = {
    "mnist_mlp": ([0, 401_920, 16_416, 330], 418_666),
    "mnist_mlp_sgd": ([50_240, 650], 50_890),
    "two_class_sigmoid": ([300, 10_100, 101], 10_501),
    "mnist_cnn": ([832, 25_632, 0, 0, 409_728, 1_290], 437_482),
    "mnist_mlp_dropout": ([401_920, 0, 262_656, 0, 262_656, 0, 5_130], 932_362),
    "mnist_cnn_dropout": ([320, 18_496, 0, 0, 36_928, 36_928, 0, 0, 0, 131_200, 0, 1_290], 225_162),
    "cifar10_cnn": ([896, 9_248, 0, 0, 18_496, 36_928, 0, 0, 0, 1_180_160, 0, 5_130], 1_250_858),
    "mnist_two_layer": ([401_920, 5_130], 407_050),
}


@pytest.fixture(scope="module")
def lecture(keras: ModuleType) -> Callable[[str], ModelSummary]:
    summaries: dict[str, ModelSummary] = {}

    def summary_of(name: str) -> ModelSummary:
        if name not in summaries:
            keras.backend.clear_session()
            shape, make_hidden = LECTURE_LAYERS[name]
            hidden = make_hidden(keras.layers)
            sigmoid = name == "two_class_sigmoid"
            last = keras.layers.Dense(1 if sigmoid else 10, activation="sigmoid" if sigmoid else "softmax")
            model = keras.Sequential([keras.Input(shape), *hidden, last], name=name)
            summaries[name] = summarize(model)
            assert summaries[name].parameters == model.count_params()
        return summaries[name]

    return summary_of


@pytest.mark.parametrize("name", LECTURE_COUNTS)
def test_the_lecture_networks_have_the_lectures_counts(name: str, lecture: Callable[[str], ModelSummary]) -> None:
    counts, total = LECTURE_COUNTS[name]
    summary = lecture(name)
    assert [layer.parameters for layer in summary.layers] == counts
    assert summary.parameters == summary.trainable_parameters == total
    assert summary.non_trainable_parameters == 0
    assert summary.weight_bytes == 4 * total
    assert summary.is_stack


def test_shapes_activations_and_multiply_adds_of_the_cnn(lecture: Callable[[str], ModelSummary]) -> None:
    summary = lecture("mnist_cnn")
    assert list(summary.input_shapes.values()) == [(None, 28, 28, 1)]
    shapes = [(24, 24, 32), (20, 20, 32), (10, 10, 32), (3200,), (128,), (10,)]
    assert [layer.output_shape for layer in summary.layers] == [(None, *shape) for shape in shapes]
    assert [layer.activation for layer in summary.layers] == ["relu", "relu", None, None, "relu", "softmax"]
    by_hand = [24 * 24 * 5 * 5 * 1 * 32, 20 * 20 * 5 * 5 * 32 * 32, 0, 0, 3200 * 128, 128 * 10]
    assert by_hand[0] == 460_800
    assert [layer.multiply_adds for layer in summary.layers] == by_hand
    assert summary.multiply_adds == sum(by_hand)
    assert summary.unknown_multiply_adds == 0
    assert summary.activation_values == 18_432 + 12_800 + 3_200 + 3_200 + 128 + 10


def _layer(*shapes: tuple[int, ...]) -> LayerSummary:
    weights = tuple(WeightSummary(f"weight_{number}", shape, True) for number, shape in enumerate(shapes))
    return LayerSummary("layer", "Layer", ((None, 1),), weights)


@pytest.mark.parametrize(
    ("shapes", "explanation"),
    [
        ([(784, 512), (512,)], "784 × 512 + 512 = 401,920"),
        ([(5, 5, 1, 32), (32,)], "5 × 5 × 1 × 32 + 32 = 832"),
        ([(64,)] * 4, "4 × 64 = 256"),
        ([], "no weights"),
        ([(28, 256), (64, 256), (256,)], "28 × 256 + 64 × 256 + 256 = 23,808"),
        ([(28, 8), (2, 8), (8,)] * 2, "2 × (28 × 8 + 2 × 8 + 8) = 496"),
        ([(8, 8), (8, 8), (8,)], "2 × (8 × 8) + 8 = 136"),
        ([(3200, 128), (128,)], "3,200 × 128 + 128 = 409,728"),
        ([(3,), (3,), ()], "2 × 3 + 1 = 7"),
        ([(64,)], "64"),
        ([(2, 3)] * 13, "13 arrays of weights = 78"),
    ],
)
def test_how_a_count_comes_about(shapes: list[tuple[int, ...]], explanation: str) -> None:
    assert explain(_layer(*shapes)) == explanation


def _multiply_adds(keras: ModuleType, input_shape: tuple[int | None, ...], layer: Any) -> int | None:
    (summary,) = summarize(keras.Sequential([keras.Input(input_shape), layer])).layers
    return summary.multiply_adds


@pytest.mark.parametrize(
    ("input_shape", "make", "count"),
    [
        ((7, 16), lambda layers: layers.Dense(4), 7 * 16 * 4),
        ((7, 16), lambda layers: layers.EinsumDense("...x,xy->...y", output_shape=4), 7 * 16 * 4),
        ((7, 16), lambda layers: layers.EinsumDense("abc,cde->abde", output_shape=(7, 2, 3)), 7 * 16 * 6),
        ((9, 2), lambda layers: layers.Conv1D(4, 3, padding="causal", dilation_rate=2), 9 * 3 * 2 * 4),
        ((9, 9, 4), lambda layers: layers.Conv2D(8, 3, strides=2, groups=2), 4 * 4 * 3 * 3 * 2 * 8),
        ((5, 6, 6, 1), lambda layers: layers.Conv3D(2, 3), 3 * 4 * 4 * 27 * 2),
        ((4, 4, 8), lambda layers: layers.Conv2DTranspose(3, 3, strides=2), 4 * 4 * 3 * 3 * 8 * 3),
        ((8, 8, 4), lambda layers: layers.DepthwiseConv2D(3, depth_multiplier=2), 6 * 6 * 9 * 8),
        ((8, 8, 4), lambda layers: layers.SeparableConv2D(5, 3), 6 * 6 * (9 * 4 + 4 * 5)),
        ((10, 3), lambda layers: layers.SimpleRNN(4), 10 * (3 * 4 + 4 * 4)),
        ((10, 3), lambda layers: layers.LSTM(4), 10 * (3 * 16 + 4 * 16)),
        ((None, 3), lambda layers: layers.LSTM(4), None),
        ((10, 3), lambda layers: layers.Bidirectional(layers.GRU(4)), 2 * 10 * (3 * 12 + 4 * 12)),
        ((10, 3), lambda layers: layers.RNN([layers.LSTMCell(4), layers.GRUCell(5)]), 10 * (3 + 4) * 16 + 10 * 9 * 15),
        ((10, 3), lambda layers: layers.TimeDistributed(layers.Dense(4)), 10 * 3 * 4),
        ((5, 8, 8, 1), lambda layers: layers.ConvLSTM2D(2, 3), 5 * 6 * 6 * (9 * 1 * 8 + 9 * 2 * 8)),
        ((20,), lambda layers: layers.Embedding(100, 8), 0),
        ((6, 6, 4), lambda layers: layers.BatchNormalization(), 6 * 6 * 4),
        ((7, 4), lambda layers: layers.LayerNormalization(), 7 * 4),
        ((6, 6, 4), lambda layers: layers.GlobalAveragePooling2D(), 0),
        ((None, 4), lambda layers: layers.Dropout(0.5), 0),
    ],
)
def test_multiply_adds_as_counted_by_hand(
    keras: ModuleType, input_shape: tuple[int | None, ...], make: Callable[[Any], Any], count: int | None
) -> None:
    assert _multiply_adds(keras, input_shape, make(keras.layers)) == count


def test_a_class_with_its_own_call_has_no_count(keras: ModuleType) -> None:
    class Doubled(keras.layers.Dense):  # type: ignore[misc, name-defined]
        def call(self, inputs: Any) -> Any:
            return 2 * super().call(inputs)

    class Renamed(keras.layers.Dense):  # type: ignore[misc, name-defined]
        pass

    assert _multiply_adds(keras, (4,), Doubled(3)) is None
    assert _multiply_adds(keras, (4,), Renamed(3)) == 12


@pytest.fixture(scope="module")
def graph(keras: ModuleType) -> ModelSummary:
    """Two inputs, attention, a layer called twice, a frozen nested model, several outputs of one layer."""
    layers = keras.layers
    first, second = keras.Input((7, 16), name="first"), keras.Input((9, 16), name="second")
    attended = layers.MultiHeadAttention(2, 8, name="attend")(key=second, value=second, query=first)
    shared = layers.Dense(16, name="shared")
    added = layers.Add(name="add")([shared(attended), shared(first)])
    nested = keras.Sequential([keras.Input((7, 16)), layers.Dense(4), layers.BatchNormalization()], name="nested")
    nested.trainable = False
    sequence, state = layers.GRU(3, return_sequences=True, return_state=True, name="gru")(nested(added))
    again = nested.layers[0](layers.Dropout(0.5, name="drop")(added))
    return summarize(keras.Model([first, second], [sequence, state, again], name="graph"))


def test_a_graph(graph: ModelSummary) -> None:
    layers = {layer.name: layer for layer in graph.layers}
    assert dict(graph.input_shapes) == {"first": (None, 7, 16), "second": (None, 9, 16)}
    assert layers["attend"].reads == ("first", "second")
    assert layers["attend"].multiply_adds == 2 * 7 * 256 + 2 * 9 * 256 + 2 * (2 * 7 * 9 * 8)
    assert layers["shared"].reads == ("attend", "first")
    assert layers["shared"].output_shape == [(None, 7, 16)] * 2
    assert layers["shared"].parameters == 16 * 16 + 16
    assert layers["shared"].multiply_adds == 2 * 7 * 16 * 16
    assert layers["add"].reads == ("shared",)
    assert layers["nested"].class_name == "Sequential"
    assert layers["nested"].parameters == layers["nested"].non_trainable_parameters == 16 * 4 + 4 + 4 * 4
    assert layers["nested"].multiply_adds == 7 * 16 * 4 + 7 * 4
    assert layers["gru"].output_shape == [(None, 7, 3), (None, 3)]
    assert not graph.is_stack


def test_weights_in_two_rows_count_once(graph: ModelSummary) -> None:
    assert sum(layer.parameters for layer in graph.layers) - graph.parameters == 16 * 4 + 4
    assert sum(layer.unshared_parameters for layer in graph.layers) == graph.parameters
    assert "68 shared, counted once" in _render(graph, 120)


def test_only_a_built_model_has_a_summary(keras: ModuleType) -> None:
    with pytest.raises(ValueError, match="not built"):
        summarize(keras.Sequential([keras.layers.Dense(3)]))


def test_bytes_follow_the_type_of_each_weight() -> None:
    sizes = {"float32": 40, "float16": 20, "bfloat16": 20, "float64": 80, "int8": 10, "float8_e4m3fn": 10, "bool": 10}
    assert {dtype: WeightSummary("kernel", (2, 5), True, dtype).bytes for dtype in sizes} == sizes


def test_json_round_trip(graph: ModelSummary, lecture: Callable[[str], ModelSummary]) -> None:
    for summary in (graph, lecture("mnist_cnn")):
        document = json.loads(json.dumps(summary.to_json()))
        assert ModelSummary.from_json(document) == summary
        assert ModelSummary.from_json(document).to_json() == document
    assert document["totals"]["parameters"] == 437_482
    assert document["layers"][0]["explanation"] == "5 × 5 × 1 × 32 + 32 = 832"


@pytest.mark.parametrize("document", [{}, {"name": "n", "input_shapes": [], "layers": []}, {"name": "n"}])
def test_other_json_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not the summary of a model"):
        ModelSummary.from_json(document)


def _render(summary: ModelSummary, width: int, *, explain: bool = False, colour: bool = False) -> str:
    console = Console(width=width, force_terminal=colour, color_system="truecolor" if colour else None)
    with console.capture() as capture:
        console.print(layer_table(summary, explain))
    return capture.get()


def _numbers(text: str) -> set[str]:
    return set(re.findall(r"\d[\d,]*", text))


@pytest.mark.parametrize("width", [50, 80, 120])
@pytest.mark.parametrize("explain", [False, True])
@pytest.mark.parametrize("name", [*LECTURE_COUNTS, "graph"])
def test_no_number_is_cut(
    name: str, explain: bool, width: int, lecture: Callable[[str], ModelSummary], graph: ModelSummary
) -> None:
    summary = graph if name == "graph" else lecture(name)
    text = _render(summary, width, explain=explain)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    totals = [summary.parameters, summary.weight_bytes, summary.activation_values, summary.multiply_adds]
    counts = totals + [layer.parameters for layer in summary.layers if layer.parameters]
    assert {f"{count:,}" for count in counts} <= _numbers(text)


def test_the_table_at_80_columns(lecture: Callable[[str], ModelSummary]) -> None:
    lines = [line.rstrip() for line in _render(lecture("mnist_cnn"), 80).splitlines()]
    assert lines == [
        "mnist_cnn: input (28, 28, 1)",
        "",
        "Layer          Type          Output shape  Parameters  Share  Multiply-adds",
        "─" * 75,
        "conv2d         Conv2D        (24, 24, 32)         832   0.2%        460,800",
        "conv2d_1       Conv2D        (20, 20, 32)      25,632   5.9%     10,240,000",
        "max_pooling2d  MaxPooling2D  (10, 10, 32)           0   0.0%              0",
        "flatten        Flatten       (3200,)                0   0.0%              0",
        "dense          Dense         (128,)           409,728  93.7%        409,600",
        "dense_1        Dense         (10,)              1,290   0.3%          1,280",
        "",
        "Parameters                     437,482",
        "  trainable                    437,482",
        "  non-trainable                      0",
        "Memory of the weights        1,749,928  bytes (1.67 MiB)",
        "Activations, one example        37,770",
        "Multiply-adds, one example  11,111,680",
    ]


def test_columns_that_only_some_tables_need(lecture: Callable[[str], ModelSummary], graph: ModelSummary) -> None:
    stack = _render(lecture("mnist_cnn"), 120)
    assert "Trained" not in stack
    assert "Reads" not in stack
    assert "█" in stack
    assert "Trained" in _render(graph, 120)
    assert "Reads" in _render(graph, 120)


def test_colour_changes_nothing_but_colour(lecture: Callable[[str], ModelSummary]) -> None:
    plain, coloured = (_render(lecture("mnist_cnn"), 120, explain=True, colour=colour) for colour in (False, True))
    assert coloured != plain
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain


CNN_DRAWING = r"""
           OPERATION           DATA DIMENSIONS   WEIGHTS(N)   WEIGHTS(%)

               Input   #####     28   28    1
              Conv2D    \|/  -------------------       832     0.2%
                relu   #####     24   24   32
              Conv2D    \|/  -------------------     25632     5.9%
                relu   #####     20   20   32
        MaxPooling2D   Y max -------------------         0     0.0%
                       #####     10   10   32
             Flatten   ||||| -------------------         0     0.0%
                       #####        3200
               Dense   XXXXX -------------------    409728    93.7%
                relu   #####         128
               Dense   XXXXX -------------------      1290     0.3%
             softmax   #####          10
"""


def test_the_drawing_of_the_cnn(lecture: Callable[[str], ModelSummary]) -> None:
    assert ascii_drawing(lecture("mnist_cnn")) == CNN_DRAWING.removeprefix("\n")


def test_the_drawings_columns_line_up_with_long_names_and_large_counts() -> None:
    video = LayerSummary(
        "a", "MyVeryLongConvolutionName3D", ((None, 10, 640, 12800, 3),), _layer((12_345_678,)).weights, 0, None, ("x",)
    )
    dense = LayerSummary("b", "Dense", ((None, 5),), _layer((5, 1)).weights, 0, "relu", ("a",))
    drawing = ascii_drawing(ModelSummary("video", {"x": (None, 10, None, 64, 3)}, (video, dense)))
    operations = [line for line in drawing.splitlines() if "---" in line]
    assert "12345678   100.0%" in operations[0]
    assert len({len(line) for line in operations}) == len({line.index("-") for line in operations}) == 1
    marks = [line.index("#####") for line in drawing.splitlines() if "#####" in line]
    assert set(marks) == {30}
    assert "None" in drawing


def test_a_graph_has_no_drawing(graph: ModelSummary) -> None:
    with pytest.raises(UsageError, match="stack of layers") as caught:
        ascii_drawing(graph)
    assert "table" in str(caught.value.hint)


def test_reading_and_showing_a_summary_loads_nothing_heavy() -> None:
    heavy = "{'tensorflow', 'keras', 'numpy'}"
    program = f"import sys, dlcli.model.summary, dlcli.cli.layer_table; print({heavy} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
