"""Rules about the model's end: its activation against the loss, and against what is to be predicted."""

from __future__ import annotations

from collections.abc import Iterator

from dlcli.errors import Problem
from dlcli.spec.grammar import DatasetSpec
from dlcli.spec.keras_objects import KerasObject
from dlcli.spec.lints.network import LINEAR, Head, Network
from dlcli.spec.lints.rules import Rule
from dlcli.spec.lints.written import canonical

FOR_CLASSES = frozenset(
    {
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
        "categorical_focal_crossentropy",
        "categorical_generalized_cross_entropy",
        "kl_divergence",
    }
)
FOR_YES_OR_NO = frozenset({"binary_crossentropy", "binary_focal_crossentropy"})
FOR_NUMBERS = frozenset(
    {
        "mean_squared_error",
        "mean_absolute_error",
        "mean_absolute_percentage_error",
        "mean_squared_logarithmic_error",
        "huber",
        "log_cosh",
    }
)
_PROBABILITIES = frozenset({"softmax", "sparsemax", "sigmoid", "hard_sigmoid", "sparse_sigmoid"})
_BOUNDS = {
    "softmax": (0, 1),
    "sparsemax": (0, 1),
    "sigmoid": (0, 1),
    "hard_sigmoid": (0, 1),
    "sparse_sigmoid": (0, 1),
    "tanh": (-1, 1),
    "hard_tanh": (-1, 1),
    "softsign": (-1, 1),
}
# They have a lower bound, none of which is far below 0.
_HARDLY_NEGATIVE = frozenset(
    {"relu", "relu6", "softplus", "exponential", "squareplus", "sparse_plus", "gelu", "silu", "swish", "mish"}
)
_FOR_POSITIVE = frozenset({"mean_absolute_percentage_error", "mean_squared_logarithmic_error", "poisson"})
_DISTURBING = frozenset(
    {
        "Dropout", "AlphaDropout", "GaussianDropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
        "GaussianNoise", "BatchNormalization",
    }
)  # fmt: skip


def wants_logits(loss: KerasObject) -> bool:
    """Whether the loss is told that the outputs are logits, with no activation behind them."""
    return loss.arguments.get("from_logits") is True


def compares_classes(loss: KerasObject) -> bool:
    """Whether the loss compares probabilities of classes."""
    return canonical(loss.name) in FOR_CLASSES | FOR_YES_OR_NO


def _fitting(loss: KerasObject, head: Head) -> str:
    yes_or_no = head.units == 1 or canonical(loss.name) in FOR_YES_OR_NO
    return "sigmoid" if yes_or_no else "softmax"


def _activation_before_logits(head: Head, loss: KerasObject) -> Iterator[Problem]:
    if compares_classes(loss) and wants_logits(loss) and head.activation in _PROBABILITIES:
        yield Problem(
            f"The loss has `from_logits: true`, so it applies `{_fitting(loss, head)}` itself, but the model ends with "
            f"`{head.activation}` already. Where Keras does not notice, it is applied twice, and learning is slow.",
            head.path,
            "Remove the activation here, or `from_logits` from the loss.",
        )


def _missing_output_activation(dataset: DatasetSpec, head: Head, loss: KerasObject) -> Iterator[Problem]:
    if dataset.source.number_of_classes is None:
        return  # the loss itself is the mistake, and an error
    if compares_classes(loss) and not wants_logits(loss) and head.activation == LINEAR:
        activation = _fitting(loss, head)
        logits = "" if canonical(loss.name) == "kl_divergence" else ", or give the loss `from_logits: true`"
        yield Problem(
            f"`{loss.name}` takes the outputs for probabilities, but the model ends without an activation: outputs "
            "below 0 or above 1 are cut off, and hardly anything is learned from them.",
            head.path,
            f"Add `activation: {activation}`{logits}.",
        )


def _short_output(head: Head) -> Iterator[Problem]:
    output = (*head.after, head.last)[0]
    written = output.layer.arguments.get("dtype")
    if written in ("float16", "bfloat16", "mixed_float16", "mixed_bfloat16"):
        yield Problem(
            f"The model puts out numbers of 16 bits, by `dtype: {written}` of its last layer: probabilities below "
            "0.00000006 become 0 in float16, bfloat16 has two or three digits, and the loss is that of these.",
            output.argument("dtype"),
            "Remove it: whatever `precision` says, a model puts out float32.",
        )


def _unfit_output_activation(dataset: DatasetSpec, head: Head, loss: KerasObject) -> Iterator[Problem]:
    if dataset.source.number_of_classes is None:
        return  # the loss itself is the mistake, and an error
    if not compares_classes(loss) or head.activation in _PROBABILITIES | {LINEAR}:
        return
    if wants_logits(loss) and head.activation == "log_softmax":
        return
    yield Problem(
        f"`{loss.name}` compares probabilities, but the model ends with `{head.activation}`, which gives none: wrong "
        "answers that it cuts off or bends get no useful gradient.",
        head.path,
        "Remove the activation: with `from_logits: true`, the loss applies its own."
        if wants_logits(loss)
        else f"End with `activation: {_fitting(loss, head)}`.",
    )


def _two_output_activations(head: Head) -> Iterator[Problem]:
    applied = [placed for placed in (*head.after, head.last) if placed.activation not in (None, LINEAR)]
    if len(applied) > 1:
        final, earlier = applied[0], applied[1]
        yield Problem(
            f"The output goes through `{earlier.activation}` and then through `{final.activation}`: what the first one "
            "flattens or cuts off, the second cannot bring back.",
            earlier.argument("activation"),
            f"Keep only `{final.activation}`.",
        )


def _sigmoid_for_classes(head: Head, loss: KerasObject) -> Iterator[Problem]:
    if canonical(loss.name) not in FOR_CLASSES or wants_logits(loss):
        return
    if head.activation in ("sigmoid", "hard_sigmoid", "sparse_sigmoid") and head.units is not None and head.units > 1:
        yield Problem(
            f"`{loss.name}` is for classes of which exactly one is right, but `{head.activation}` looks at each of the "
            f"{head.units} outputs alone: they do not add up to 1, and are not the probabilities that are trained.",
            head.path,
            "Use `activation: softmax`.",
        )


def _softmax_of_one(head: Head) -> Iterator[Problem]:
    if head.activation in ("softmax", "sparsemax") and head.units == 1:
        yield Problem(
            f"`{head.activation}` over a single unit is always 1.0: the model predicts the same for every example.",
            head.path,
            "For two classes use `activation: sigmoid`; for a number, no activation.",
        )


def _yes_or_no_for_classes(dataset: DatasetSpec, head: Head, loss: KerasObject) -> Iterator[Problem]:
    classes = dataset.source.number_of_classes
    if classes is None or canonical(loss.name) not in FOR_YES_OR_NO:
        return
    if head.units is not None and head.units > 1:
        yield Problem(
            f"`{loss.name}` asks {head.units} separate yes-or-no questions, but each example of "
            f"`{dataset.source.name}` belongs to exactly one of {classes} classes.",
            ("loss",),
            "Use `categorical_crossentropy`, and `activation: softmax` in the last layer.",
        )


def _number_loss_for_classes(dataset: DatasetSpec, head: Head, loss: KerasObject) -> Iterator[Problem]:
    if dataset.source.number_of_classes is None or canonical(loss.name) not in FOR_NUMBERS:
        return
    effect = (
        f"where `{head.activation}` is surely wrong, its gradient is nearly 0, and learning is slow"
        if head.activation in _PROBABILITIES
        else "an output that is right by far costs as much as one that is wrong"
    )
    one = head.units == 1
    fitting = "binary_crossentropy" if one else "categorical_crossentropy"
    yield Problem(
        f"`{loss.name}` is for numbers, but `{dataset.source.name}` has classes: {effect}.",
        ("loss",),
        f"Use `{fitting}`, with `activation: {'sigmoid' if one else 'softmax'}` in the last layer.",
    )


def _asks_for_standardized(dataset: DatasetSpec) -> bool:
    return dataset.labels == "standardized" and dataset.source.number_of_classes is None


def _bounded_standardized(dataset: DatasetSpec, head: Head) -> Iterator[Problem]:
    if not _asks_for_standardized(dataset) or head.activation not in _HARDLY_NEGATIVE | _BOUNDS.keys():
        return
    low, high = _BOUNDS.get(head.activation, (0, None))
    reach = f"numbers between {low} and {high}" if high is not None else "hardly any number below 0"
    yield Problem(
        f"`{head.activation}` gives {reach}, but `labels: standardized` makes numbers around 0 of the targets, with a "
        "deviation of 1: the model can never reach many of them.",
        head.path,
        "End without an activation, or leave `labels` out.",
    )


def _rescaled_output(dataset: DatasetSpec, network: Network) -> Iterator[Problem]:
    last = network.output
    if last is not None and last.layer.name == "Rescaling" and _asks_for_standardized(dataset):
        yield Problem(
            "The last layer brings the outputs to another scale, but `labels: standardized` asks for numbers around 0, "
            "with a deviation of 1, and brings them back by itself.",
            last.path,
            "Leave this layer out, or `labels`.",
        )


def _positive_loss(dataset: DatasetSpec, loss: KerasObject) -> Iterator[Problem]:
    if _asks_for_standardized(dataset) and canonical(loss.name) in _FOR_POSITIVE:
        yield Problem(
            f"`{loss.name}` is for numbers above 0, but `labels: standardized` makes numbers around 0 of them, half of "
            "which are below.",
            ("loss",),
            "Use `mean_squared_error` or `huber`; or leave `labels` out.",
        )


def _bounded_output(dataset: DatasetSpec, head: Head) -> Iterator[Problem]:
    if dataset.labels == "standardized":
        yield from _bounded_standardized(dataset, head)
        return
    targets = dataset.source.range_of_targets
    if targets is None or head.activation not in _BOUNDS:
        return
    low, high = _BOUNDS[head.activation]
    if targets[0] < low or targets[1] > high:
        yield Problem(
            f"`{head.activation}` gives numbers between {low} and {high}, but the targets of `{dataset.source.name}` "
            f"go from {targets[0]:g} to {targets[1]:g}: the model can never reach them.",
            head.path,
            "End with `Dense: {units: 1}`, without an activation.",
        )


def _disturbed_output(head: Head) -> Iterator[Problem]:
    if head.last.layer.name != "Dense":
        return
    for placed in head.after:
        if placed.layer.name in _DISTURBING:
            does = "rescales" if placed.layer.name == "BatchNormalization" else "spoils at random"
            yield Problem(
                f"`{placed.layer.name}` stands behind the last `Dense` layer: in training it {does} the model's "
                "answers themselves.",
                placed.path,
                "Move it before the last `Dense` layer, or remove it.",
            )


RULES = (
    Rule(
        "activation-before-logits",
        "a softmax or sigmoid at the end, and a loss with `from_logits: true`",
        _activation_before_logits,
    ),
    Rule(
        "missing-output-activation",
        "no activation at the end, and a crossentropy that wants probabilities",
        _missing_output_activation,
    ),
    Rule(
        "unfit-output-activation",
        "an activation at the end that gives no probabilities, such as relu, and a crossentropy",
        _unfit_output_activation,
    ),
    Rule("short-output", "a last layer whose `dtype` has 16 bits", _short_output),
    Rule("two-output-activations", "two activations one after the other at the end", _two_output_activations),
    Rule("sigmoid-for-classes", "a sigmoid over several units, and a categorical loss", _sigmoid_for_classes),
    Rule("softmax-of-one", "a softmax over a single unit, which is always 1", _softmax_of_one),
    Rule(
        "yes-or-no-loss-for-classes",
        "binary_crossentropy for several outputs of which one is right",
        _yes_or_no_for_classes,
    ),
    Rule("number-loss-for-classes", "a loss for numbers, such as mse, for classes", _number_loss_for_classes),
    Rule("bounded-output", "an activation at the end that cannot reach the numbers to predict", _bounded_output),
    Rule("rescaled-output", "a Rescaling at the end, and targets that are standardized already", _rescaled_output),
    Rule("loss-of-positive", "a loss for positive numbers, such as msle, of standardized targets", _positive_loss),
    Rule("disturbed-output", "dropout, noise or batch normalization behind the last Dense layer", _disturbed_output),
)
