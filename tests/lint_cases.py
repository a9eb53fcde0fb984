"""A spec for each warning of the lints, with the place it points at; and beside it the nearest one that gives none."""

from __future__ import annotations

from dataclasses import dataclass

from dlcli.errors import Path

RELU = "Dense: {units: 16, activation: relu}"
SOFTMAX = "Dense: {units: 3, activation: softmax}"
SIGMOID = "Dense: {units: 1, activation: sigmoid}"
LOGITS = "{CategoricalCrossentropy: {from_logits: true}}"
BINARY = {"dataset": "{source: breast_cancer, validation: 0.2, batch_size: 16}", "loss": "binary_crossentropy"}
NUMBER = {"dataset": "{source: diabetes, validation: 0.2}", "loss": "mse", "metrics": "[mae]"}
STANDARDIZED = {**NUMBER, "dataset": "{source: diabetes, validation: 0.2, labels: standardized}"}
IMAGES = ["Flatten", RELU, "Dense: {units: 10, activation: softmax}"]
CONV = "Conv2D: {filters: 4, kernel_size: 3, activation: relu}"
SCHEDULE = "{SGD: {learning_rate: {%s}}}"


def text_of(layers: list[str] | None = None, **sections: str) -> str:
    """A spec on 114 wines (eight batches an epoch) that gives no warning; and with other sections or layers."""
    given = {
        "dataset": "{source: wine, validation: 0.2, batch_size: 16}",
        "loss": "categorical_crossentropy",
        "optimizer": "Adam",
        "metrics": "[accuracy]",
        "train": "{epochs: 30}",
        **sections,
    }
    lines = "".join(f"    - {layer}\n" for layer in layers or [RELU, SOFTMAX])
    return f"model:\n  layers:\n{lines}" + "".join(f"{key}: {value}\n" for key, value in given.items())


@dataclass(frozen=True)
class Case:
    """A spec that gives one warning, at `at`, the text from the caret on; and the nearest one that gives none."""

    code: str
    path: Path
    at: str
    fires: str
    quiet: str


def layer(number: int, *keys: str | int) -> Path:
    return ("model", "layers", number, *keys)


def data(text: str) -> str:
    return f"{{source: wine, validation: 0.2, batch_size: 16, {text}}}"


def images(text: str, source: str = "mnist") -> str:
    return f"{{source: {source}, validation: 0.1, {text}}}"


def with_callbacks(callback: str) -> str:
    return f"{{epochs: 30, callbacks: [{callback}]}}"


CASES = (
    # splits
    Case(
        "no-shuffle", ("dataset", "shuffle"), "false",
        text_of(dataset=data("shuffle: false")),
        text_of(dataset="{source: wine, validation: 0.2, batch_size: 114, shuffle: false}"),
    ),
    Case(
        "validation-is-test", ("dataset", "validation"), "test",
        text_of(dataset="{source: wine, validation: test}"),
        text_of(dataset="{source: wine, validation: test}", train="{epochs: 30, monitor: loss}"),
    ),
    Case(
        "validation-is-test", ("dataset", "validation"), "test",
        text_of(
            dataset="{source: wine, validation: test}",
            train="{epochs: 30, monitor: loss, callbacks: [EarlyStopping: {patience: 5}]}",
        ),
        text_of(
            dataset="{source: wine, validation: test}",
            train="{epochs: 30, monitor: loss, callbacks: [EarlyStopping: {patience: 5, monitor: loss}]}",
        ),
    ),
    Case(
        "batch-beyond-data", ("dataset", "batch_size"), "115",
        text_of(dataset="{source: wine, validation: 0.2, batch_size: 115}"),
        text_of(dataset="{source: wine, validation: 0.2, batch_size: 114}"),
    ),
    Case(
        "tiny-split", ("dataset", "validation"), "0.03",
        text_of(dataset="{source: wine, validation: 0.03}"),
        text_of(dataset="{source: wine, validation: 0.1}"),
    ),
    Case(
        "tiny-split", ("dataset", "test"), "0.01",
        text_of(dataset="{source: wine, test: 0.01}"),
        text_of(dataset="{source: wine, test: 0.0}"),
    ),
    Case(
        "unused-test-fraction", ("dataset", "test"), "0.1",
        text_of(IMAGES, dataset="{source: mnist, test: 0.1}"),
        text_of(dataset="{source: wine, test: 0.1}"),
    ),
    # inputs
    Case(
        "unscaled-inputs", ("dataset", "preparation"), "preparation",
        text_of(dataset=data("preparation: []")),
        text_of(["BatchNormalization", RELU, SOFTMAX], dataset=data("preparation: []")),
    ),
    Case(
        "unscaled-inputs", ("dataset", "preparation"), "preparation",
        text_of(IMAGES, dataset=images("preparation: [Reshape: {target_shape: [784]}]")),
        text_of(["Rescaling: {scale: 0.004}", *IMAGES], dataset=images("preparation: []")),
    ),
    Case(
        "scaled-twice", layer(0, "Rescaling"), "Rescaling",
        text_of(["Rescaling: {scale: 0.00784, offset: -1}", *IMAGES], dataset=images("batch_size: 32")),
        text_of(["Rescaling: {scale: 2, offset: -1}", *IMAGES], dataset=images("batch_size: 32")),
    ),
    Case(
        "wrong-value-range", ("dataset", "augment", 0, "RandomBrightness"), "RandomBrightness",
        text_of(IMAGES, dataset=images(
            "preparation: [Rescaling: {scale: 0.004}], augment: [RandomBrightness: {factor: 0.2}]"
        )),
        text_of(IMAGES, dataset=images("augment: [RandomBrightness: {factor: 0.2}]")),
    ),
    Case(
        "wrong-value-range", layer(0, "RandomBrightness"), "RandomBrightness",
        text_of(["RandomBrightness: {factor: 0.2}", *IMAGES], dataset=images("batch_size: 32")),
        text_of(
            ["RandomBrightness: {factor: 0.2, value_range: [0, 1]}", *IMAGES], dataset=images("batch_size: 32")
        ),
    ),
    Case(
        "changed-meaning", ("dataset", "augment", 0, "RandomFlip", "mode"), "horizontal",
        text_of(IMAGES, dataset=images("augment: [RandomFlip: {mode: horizontal}]")),
        text_of(IMAGES, dataset=images("augment: [RandomFlip: {mode: horizontal}]", "cifar10")),
    ),
    Case(
        "changed-meaning", layer(0), "RandomFlip",
        text_of(["RandomFlip", *IMAGES], dataset=images("batch_size: 32", "fashion_mnist")),
        text_of(["RandomFlip: {mode: horizontal}", *IMAGES], dataset=images("batch_size: 32", "fashion_mnist")),
    ),
    Case(
        "changed-meaning", ("dataset", "augment", 0, "RandomRotation", "factor"), "0.5",
        text_of(IMAGES, dataset=images("augment: [RandomRotation: {factor: 0.5}]", "digits")),
        text_of(IMAGES, dataset=images("augment: [RandomRotation: {factor: 0.1}]", "digits")),
    ),
    # hidden
    Case(
        "missing-activation", layer(0, "Dense"), "Dense: {units: 16}",
        text_of(["Dense: {units: 16}", "Dropout: {rate: 0.2}", SOFTMAX]),
        text_of(["Dense: {units: 16}", "BatchNormalization", "Activation: {activation: relu}", SOFTMAX]),
    ),
    Case(
        "missing-activation", layer(0, "Conv2D"), "Conv2D",
        text_of(["Conv2D: {filters: 4, kernel_size: 3}", "Flatten", *IMAGES[2:]], dataset=images("batch_size: 32")),
        text_of([CONV, "Flatten", *IMAGES[2:]], dataset=images("batch_size: 32")),
    ),
    Case(
        "hidden-softmax", layer(0, "Dense", "activation"), "softmax",
        text_of(["Dense: {units: 16, activation: softmax}", "Dropout: {rate: 0.2}", SOFTMAX]),
        text_of(["Dense: {units: 16, activation: tanh}", "Dropout: {rate: 0.2}", SOFTMAX]),
    ),
    Case(
        "many-sigmoids", layer(0, "Dense", "activation"), "sigmoid",
        text_of(["{Dense: {units: 9, activation: sigmoid}, repeat: 4}", SOFTMAX]),
        text_of(["{Dense: {units: 9, activation: sigmoid}, repeat: 3}", SOFTMAX]),
    ),
    Case(
        "equal-initial-weights", layer(0, "Dense", "kernel_initializer"), "kernel_initializer",
        text_of(["Dense: {units: 9, activation: relu, kernel_initializer: {Constant: {value: 5}}}", SOFTMAX]),
        text_of([RELU, "Dense: {units: 3, activation: softmax, kernel_initializer: zeros}"]),
    ),
    Case(
        "odd-dropout", layer(1, "Dropout", "rate"), "0.95",
        text_of([RELU, "Dropout: {rate: 0.95}", SOFTMAX]),
        text_of([RELU, "Dropout: {rate: 0.8}", SOFTMAX]),
    ),
    Case(
        "strong-penalty", layer(0, "Dense", "kernel_regularizer", "L2", "l2"), "10",
        text_of(["Dense: {units: 16, activation: relu, kernel_regularizer: {L2: {l2: 10}}}", SOFTMAX]),
        text_of(["Dense: {units: 16, activation: relu, kernel_regularizer: {L2: {l2: 0.01}}}", SOFTMAX]),
    ),
    Case(
        "unfitted-normalization", layer(0), "Normalization",
        text_of(["Normalization", RELU, SOFTMAX]),
        text_of(dataset=data("preparation: [Normalization]")),
    ),
    Case(
        "normalization-of-few", ("dataset", "batch_size"), "2",
        text_of([RELU, "BatchNormalization", SOFTMAX], dataset="{source: wine, validation: 0.2, batch_size: 2}"),
        text_of([RELU, "BatchNormalization", SOFTMAX], dataset="{source: wine, validation: 0.2, batch_size: 4}"),
    ),
    # outputs
    Case(
        "activation-before-logits", layer(1, "Dense", "activation"), "softmax",
        text_of(loss=LOGITS),
        text_of([RELU, "Dense: {units: 3}"], loss=LOGITS),
    ),
    Case(
        "activation-before-logits", layer(2), "Softmax",
        text_of([RELU, "Dense: {units: 3}", "Softmax"], loss=LOGITS),
        text_of([RELU, "Dense: {units: 3}", "Softmax"]),
    ),
    Case(
        "missing-output-activation", layer(1, "Dense"), "Dense: {units: 3}",
        text_of([RELU, "Dense: {units: 3}"]),
        text_of([RELU, "Dense: {units: 3}", "Activation: {activation: softmax}"]),
    ),
    Case(
        "missing-output-activation", layer(1, "Dense"), "Dense: {units: 1}",
        text_of([RELU, "Dense: {units: 1}"], **BINARY),
        text_of([RELU, SIGMOID], **BINARY),
    ),
    Case(
        "unfit-output-activation", layer(1, "Dense", "activation"), "relu",
        text_of([RELU, "Dense: {units: 3, activation: relu}"]),
        text_of([RELU, SOFTMAX]),
    ),
    Case(
        "unfit-output-activation", layer(1, "Dense", "activation"), "relu",
        text_of([RELU, "Dense: {units: 3, activation: relu}"], loss=LOGITS),
        text_of([RELU, "Dense: {units: 3, activation: linear}"], loss=LOGITS),
    ),
    Case(
        "short-output", layer(1, "Dense", "dtype"), "float16",
        text_of([RELU, "Dense: {units: 3, activation: softmax, dtype: float16}"]),
        text_of([RELU, "Dense: {units: 3, activation: softmax, dtype: float32}"]),
    ),
    Case(
        "two-output-activations", layer(1, "Dense", "activation"), "relu",
        text_of([RELU, "Dense: {units: 3, activation: relu}", "Softmax"]),
        text_of([RELU, "Dense: {units: 3, activation: linear}", "Softmax"]),
    ),
    Case(
        "sigmoid-for-classes", layer(1, "Dense", "activation"), "sigmoid",
        text_of([RELU, "Dense: {units: 3, activation: sigmoid}"]),
        text_of([RELU, SIGMOID], **BINARY),
    ),
    Case(
        "softmax-of-one", layer(1, "Dense", "activation"), "softmax",
        text_of([RELU, "Dense: {units: 1, activation: softmax}"], **BINARY),
        text_of([RELU, "Dense: {units: 2, activation: softmax}"], dataset=BINARY["dataset"]),
    ),
    Case(
        "yes-or-no-loss-for-classes", ("loss",), "binary_crossentropy",
        text_of(loss="binary_crossentropy"),
        text_of([RELU, SIGMOID], **BINARY),
    ),
    Case(
        "number-loss-for-classes", ("loss",), "mse",
        text_of(loss="mse"),
        text_of([RELU, "Dense: {units: 1}"], **NUMBER),
    ),
    Case(
        "number-loss-for-classes", ("loss",), "MeanSquaredError",
        text_of([RELU, "Dense: {units: 3}"], loss="MeanSquaredError"),
        text_of([RELU, "Dense: {units: 1}"], **{**NUMBER, "loss": "MeanSquaredError"}),
    ),
    Case(
        "bounded-output", layer(1, "Dense", "activation"), "tanh",
        text_of([RELU, "Dense: {units: 1, activation: tanh}"], **NUMBER),
        text_of([RELU, "Dense: {units: 1, activation: relu}"], **NUMBER),
    ),
    Case(
        "bounded-output", layer(1, "Dense", "activation"), "relu",
        text_of([RELU, "Dense: {units: 1, activation: relu}"], **STANDARDIZED),
        text_of([RELU, "Dense: {units: 1}"], **STANDARDIZED),
    ),
    Case(
        "rescaled-output", layer(2, "Rescaling"), "Rescaling",
        text_of([RELU, "Dense: {units: 1}", "Rescaling: {scale: 77, offset: 150}"], **STANDARDIZED),
        text_of([RELU, "Dense: {units: 1}", "Rescaling: {scale: 77, offset: 150}"], **NUMBER),
    ),
    Case(
        "loss-of-positive", ("loss",), "msle",
        text_of([RELU, "Dense: {units: 1}"], **{**STANDARDIZED, "loss": "msle"}),
        text_of([RELU, "Dense: {units: 1}"], **{**NUMBER, "loss": "msle"}),
    ),
    Case(
        "disturbed-output", layer(2, "Dropout"), "Dropout",
        text_of([RELU, SOFTMAX, "Dropout: {rate: 0.2}"]),
        text_of([RELU, "Dropout: {rate: 0.2}", SOFTMAX]),
    ),
    # optimizing
    Case(
        "unusual-learning-rate", ("optimizer", "Adam", "learning_rate"), "1.0",
        text_of(optimizer="{Adam: {learning_rate: 1.0}}"),
        text_of(optimizer="{SGD: {learning_rate: 1.0}}"),
    ),
    Case(
        "unusual-learning-rate", ("optimizer",), "Adadelta",
        text_of(optimizer="Adadelta"),
        text_of(optimizer="{Adadelta: {learning_rate: 1.0}}"),
    ),
    Case(
        "unusual-learning-rate",
        ("optimizer", "SGD", "learning_rate", "CosineDecay", "initial_learning_rate"), "0.0",
        text_of(optimizer=SCHEDULE % "CosineDecay: {initial_learning_rate: 0.0, decay_steps: 240}"),
        text_of(
            optimizer=SCHEDULE
            % "CosineDecay: {initial_learning_rate: 0.0, decay_steps: 200, warmup_target: 0.1, warmup_steps: 40}"
        ),
    ),
    Case(
        "endless-momentum", ("optimizer", "SGD", "momentum"), "1.0",
        text_of(optimizer="{SGD: {momentum: 1.0}}"),
        text_of(optimizer="{SGD: {momentum: 0.99}}"),
    ),
    Case(
        "idle-nesterov", ("optimizer", "SGD", "nesterov"), "true",
        text_of(optimizer="{SGD: {nesterov: true}}"),
        text_of(optimizer="{SGD: {nesterov: true, momentum: 0.9}}"),
    ),
    Case(
        "two-learning-rates", ("train", "callbacks", 0), "ReduceLROnPlateau",
        text_of(
            optimizer=SCHEDULE % "CosineDecay: {initial_learning_rate: 0.1, decay_steps: 240}",
            train=with_callbacks("ReduceLROnPlateau"),
        ),
        text_of(train=with_callbacks("ReduceLROnPlateau")),
    ),
    # schedules: the run has 30 epochs of 8 steps
    Case(
        "schedule-too-short", ("optimizer", "SGD", "learning_rate", "CosineDecay", "decay_steps"), "100",
        text_of(optimizer=SCHEDULE % "CosineDecay: {initial_learning_rate: 0.1, decay_steps: 100}"),
        text_of(optimizer=SCHEDULE % "CosineDecay: {initial_learning_rate: 0.1, decay_steps: 100, alpha: 0.1}"),
    ),
    Case(
        "schedule-too-short", ("optimizer", "SGD", "learning_rate", "ExponentialDecay", "decay_steps"), "8",
        text_of(
            optimizer=SCHEDULE % "ExponentialDecay: {initial_learning_rate: 0.1, decay_steps: 8, decay_rate: 0.6}"
        ),
        text_of(
            optimizer=SCHEDULE % "ExponentialDecay: {initial_learning_rate: 0.1, decay_steps: 8, decay_rate: 0.8}"
        ),
    ),
    Case(
        "schedule-too-short", ("optimizer", "SGD", "learning_rate", "PolynomialDecay", "decay_steps"), "100",
        text_of(
            optimizer=SCHEDULE
            % "PolynomialDecay: {initial_learning_rate: 0.1, decay_steps: 100, end_learning_rate: 0}"
        ),
        text_of(optimizer=SCHEDULE % "PolynomialDecay: {initial_learning_rate: 0.1, decay_steps: 100}"),
    ),
    Case(
        "schedule-too-long", ("optimizer", "SGD", "learning_rate", "CosineDecay", "decay_steps"), "1000",
        text_of(optimizer=SCHEDULE % "CosineDecay: {initial_learning_rate: 0.1, decay_steps: 1000}"),
        text_of(optimizer=SCHEDULE % "CosineDecay: {initial_learning_rate: 0.1, decay_steps: 300}"),
    ),
    Case(
        "schedule-too-long", ("optimizer", "SGD", "learning_rate", "ExponentialDecay", "decay_steps"), "10000",
        text_of(
            optimizer=SCHEDULE % "ExponentialDecay: {initial_learning_rate: 0.1, decay_steps: 10000, decay_rate: 0.9}"
        ),
        text_of(
            optimizer=SCHEDULE % "ExponentialDecay: {initial_learning_rate: 0.1, decay_steps: 100, decay_rate: 0.9}"
        ),
    ),
    Case(
        "schedule-too-long", ("optimizer", "SGD", "learning_rate", "PiecewiseConstantDecay", "boundaries", 1), "240",
        text_of(
            optimizer=SCHEDULE % "PiecewiseConstantDecay: {boundaries: [100, 240], values: [0.1, 0.01, 0.001]}"
        ),
        text_of(
            optimizer=SCHEDULE % "PiecewiseConstantDecay: {boundaries: [100, 200], values: [0.1, 0.01, 0.001]}"
        ),
    ),
    Case(
        "schedule-in-epochs", ("optimizer", "SGD", "learning_rate", "PiecewiseConstantDecay", "boundaries"),
        "boundaries",
        text_of(optimizer=SCHEDULE % "PiecewiseConstantDecay: {boundaries: [3, 7], values: [0.1, 0.01, 0.001]}"),
        text_of(optimizer=SCHEDULE % "PiecewiseConstantDecay: {boundaries: [24, 56], values: [0.1, 0.01, 0.001]}"),
    ),
    Case(
        "schedule-rising", ("optimizer", "SGD", "learning_rate", "ExponentialDecay", "decay_rate"), "1.1",
        text_of(
            optimizer=SCHEDULE % "ExponentialDecay: {initial_learning_rate: 0.1, decay_steps: 8, decay_rate: 1.1}"
        ),
        text_of(
            optimizer=SCHEDULE % "ExponentialDecay: {initial_learning_rate: 0.1, decay_steps: 8, decay_rate: 0.9}"
        ),
    ),
    Case(
        "schedule-rising", ("optimizer", "SGD", "learning_rate", "PolynomialDecay"), "PolynomialDecay",
        text_of(optimizer=SCHEDULE % "PolynomialDecay: {initial_learning_rate: 1e-5, decay_steps: 240}"),
        text_of(optimizer=SCHEDULE % "PolynomialDecay: {initial_learning_rate: 0.01, decay_steps: 240}"),
    ),
    # metrics
    Case(
        "accuracy-of-numbers", ("metrics", 0), "accuracy",
        text_of([RELU, "Dense: {units: 1}"], **{**NUMBER, "metrics": "[accuracy]"}),
        text_of([RELU, "Dense: {units: 1}"], **{**NUMBER, "metrics": "[R2Score, RootMeanSquaredError]"}),
    ),
    Case(
        "exact-accuracy", ("metrics", 0), "Accuracy",
        text_of(metrics="[Accuracy]"),
        text_of(metrics="[CategoricalAccuracy]"),
    ),
    Case(
        "yes-or-no-metric", ("metrics", 1), "Precision",
        text_of(metrics="[accuracy, Precision]"),
        text_of(metrics="[accuracy, Precision: {class_id: 0}, F1Score: {average: macro}]"),
    ),
    Case(
        "yes-or-no-metric", ("metrics", 0), "AUC",
        text_of(metrics="[AUC]"),
        text_of([RELU, SIGMOID], **BINARY, metrics="[AUC, Precision, Recall]"),
    ),
    Case(
        "metric-always-right", ("metrics", 0), "TopKCategoricalAccuracy",
        text_of(metrics="[TopKCategoricalAccuracy]"),
        text_of(metrics="[TopKCategoricalAccuracy: {k: 2}]"),
    ),
    Case(
        "metric-always-right", ("metrics", 0), "categorical_accuracy",
        text_of([RELU, SIGMOID], **BINARY, metrics="[categorical_accuracy]"),
        text_of(metrics="[categorical_accuracy]"),
    ),
    Case(
        "metric-of-logits", ("metrics", 0), "accuracy",
        text_of([RELU, "Dense: {units: 1}"], **{**BINARY, "loss": "{BinaryCrossentropy: {from_logits: true}}"}),
        text_of(
            [RELU, "Dense: {units: 1}"],
            **{**BINARY, "loss": "{BinaryCrossentropy: {from_logits: true}}"},
            metrics="[BinaryAccuracy: {threshold: 0.0}, AUC: {from_logits: true}]",
        ),
    ),
    # callbacks
    Case(
        "patience-beyond-run", ("train", "callbacks", 0, "EarlyStopping", "patience"), "29",
        text_of(train=with_callbacks("EarlyStopping: {patience: 29}")),
        text_of(train=with_callbacks("EarlyStopping: {patience: 28}")),
    ),
    Case(
        "patience-beyond-run", ("train", "callbacks", 0), "ReduceLROnPlateau",
        text_of(train="{epochs: 8, callbacks: [ReduceLROnPlateau]}"),
        text_of(train="{epochs: 12, callbacks: [ReduceLROnPlateau]}"),
    ),
    Case(
        "patience-beyond-run", ("train", "callbacks", 0), "EarlyStopping",
        text_of(train="{epochs: 1, callbacks: [EarlyStopping]}"),
        text_of(train="{epochs: 1, callbacks: [TerminateOnNaN]}"),
    ),
    Case(
        "no-patience", ("train", "callbacks", 0), "EarlyStopping",
        text_of(train=with_callbacks("EarlyStopping")),
        text_of(train=with_callbacks("EarlyStopping: {patience: 1}")),
    ),
    Case(
        "stops-before-reducing", ("train", "callbacks", 1, "ReduceLROnPlateau", "patience"), "5",
        text_of(train=with_callbacks("EarlyStopping: {patience: 5}, ReduceLROnPlateau: {patience: 5}")),
        text_of(train=with_callbacks("EarlyStopping: {patience: 5}, ReduceLROnPlateau: {patience: 2}")),
    ),
    Case(
        "wrong-mode", ("train", "mode"), "min",
        text_of(train="{epochs: 30, monitor: val_accuracy, mode: min}"),
        text_of(train="{epochs: 30, monitor: val_accuracy, mode: max}"),
    ),
    Case(
        "wrong-mode", ("train", "callbacks", 0, "EarlyStopping", "mode"), "max",
        text_of(train=with_callbacks("EarlyStopping: {patience: 5, mode: max}")),
        text_of(train=with_callbacks("EarlyStopping: {patience: 5, mode: min}")),
    ),
    Case(
        "monitors-training", ("train", "monitor"), "accuracy",
        text_of(train="{epochs: 30, monitor: accuracy}"),
        text_of(train="{epochs: 30, monitor: accuracy}", dataset="{source: wine}"),
    ),
    Case(
        "monitors-training", ("train", "callbacks", 0, "EarlyStopping", "monitor"), "loss",
        text_of(train=with_callbacks("EarlyStopping: {patience: 5, monitor: loss}")),
        text_of(train=with_callbacks("EarlyStopping: {patience: 5, monitor: val_loss}")),
    ),
)  # fmt: skip

SPARSE_LOGITS = "{SparseCategoricalCrossentropy: {from_logits: true}}"
CONV_BN = ["Conv2D: {filters: 8, kernel_size: 3, use_bias: false}", "BatchNormalization", "ReLU", "MaxPooling2D"]
TEN = "Dense: {units: 10, activation: softmax}"

ORDINARY = {
    "convolutions": text_of(
        [CONV, "MaxPooling2D", CONV, "MaxPooling2D", "Flatten", "Dropout: {rate: 0.5}", TEN],
        dataset=images("batch_size: 128"), train="{epochs: 15}",
    ),
    "logits": text_of(
        ["Flatten", "Dense: {units: 128, activation: relu}", "Dropout: {rate: 0.2}", "Dense: {units: 10}"],
        dataset=images("batch_size: 32"), loss=SPARSE_LOGITS,
    ),
    "batch normalization between": text_of(
        [*CONV_BN, *CONV_BN, "GlobalAveragePooling2D", TEN], dataset=images("batch_size: 64", "cifar10"),
        metrics="[accuracy, TopKCategoricalAccuracy: {k: 3}]",
    ),
    "only convolutions": text_of(
        [CONV, "Conv2D: {filters: 10, kernel_size: 1}", "GlobalAveragePooling2D", "Softmax"],
        dataset=images("batch_size: 64"),
    ),
    "separable": text_of(
        ["DepthwiseConv2D: {kernel_size: 3}", CONV, "SeparableConv2D: {filters: 8, kernel_size: 3, activation: relu}",
         "Flatten", TEN],
        dataset=images("batch_size: 64"),
    ),
    "recurrent": text_of(
        ["Reshape: {target_shape: [28, 28]}", "LSTM: {units: 64}", TEN], dataset=images("batch_size: 64"),
    ),
    "linear regression": text_of(["Dense: {units: 1}"], **NUMBER),
    "logistic regression": text_of(["Dense: {units: 3, activation: softmax, kernel_initializer: zeros}"]),
    "own preparation": text_of(
        ["Flatten", RELU, TEN],
        dataset=images("preparation: [Rescaling: {scale: 0.00784, offset: -1}, Reshape: {target_shape: [784]}]"),
    ),
    "scaling in the model": text_of(
        ["Rescaling: {scale: 0.00392156862}", "RandomTranslation: {height_factor: 0.1, width_factor: 0.1}", "Flatten",
         "Dense: {units: 64}", "LeakyReLU: {negative_slope: 0.1}", TEN],
        dataset=images("preparation: []"),
    ),
    "usual callbacks": text_of(
        train="{epochs: 100, callbacks: [EarlyStopping: {patience: 12, restore_best_weights: true}, "
        "ReduceLROnPlateau: {factor: 0.5, patience: 5}, TerminateOnNaN, CSVLogger: {filename: log.csv}]}",
        optimizer="{SGD: {learning_rate: 0.1, momentum: 0.9, nesterov: true}}",
    ),
    "steps once and again": text_of(
        optimizer=SCHEDULE % "PiecewiseConstantDecay: {boundaries: [120, 180], values: [0.1, 0.01, 0.001]}",
    ),
    "warm restarts": text_of(
        optimizer=SCHEDULE % "CosineDecayRestarts: {initial_learning_rate: 0.1, first_decay_steps: 40}",
    ),
    "two classes, two outputs": text_of(
        [RELU, "Dense: {units: 2, activation: softmax}"], dataset=BINARY["dataset"],
        metrics="[accuracy, F1Score: {average: macro}]",
    ),
    "two classes, one logit": text_of(
        [RELU, "Dense: {units: 1}"], dataset=BINARY["dataset"], loss="{BinaryCrossentropy: {from_logits: true}}",
        metrics="[BinaryAccuracy: {threshold: 0.0}]",
    ),
    "poisson": text_of([RELU, "Dense: {units: 1, activation: exponential}"], **{**NUMBER, "loss": "poisson"}),
}  # fmt: skip
"""specs in which nothing is odd"""
