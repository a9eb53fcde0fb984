"""Rules about the layers inside the model: activations, initial weights, dropout, penalties, normalization."""

from __future__ import annotations

from collections.abc import Iterator

from dlcli.errors import Path, Problem
from dlcli.spec.grammar import DatasetSpec
from dlcli.spec.lints.network import LINEAR, Head, Network, Placed
from dlcli.spec.lints.rules import Rule
from dlcli.spec.lints.written import canonical, nested, number

_MANY_SIGMOIDS = 4
_FEW_EXAMPLES = 4
_HIGH_RATE = 0.9
_EQUAL = frozenset({"zeros", "zero", "ones", "one", "constant"})


def _missing_activation(network: Network) -> Iterator[Problem]:
    followed: dict[int, Placed] = {}
    for placed in network.weighted:
        if placed.repeat > 1 and placed.activation == LINEAR:
            followed.setdefault(placed.number, placed)
        for above in network.upstream(placed):
            # A depthwise convolution and the pointwise one behind it are one separable convolution, on purpose.
            if above.is_weighted and above.activation == LINEAR and "Depthwise" not in above.layer.name:
                followed.setdefault(above.number, placed)
            if not above.is_passing and not (above.is_activation and above.activation == LINEAR):
                break
    for number_above, below in followed.items():
        above = network.layers[number_above]
        yield Problem(
            f"Between `{above.layer.name}` and the next `{below.layer.name}` there is no activation: two linear layers "
            "in a row can learn no more than one.",
            above.path,
            "Add `activation: relu` here.",
        )


def _hidden_softmax(network: Network) -> Iterator[Problem]:
    found: dict[int, Placed] = {}
    for placed in network.weighted:
        for above in network.upstream(placed):
            if above.activation == "softmax":
                found[above.number] = above
            if not above.is_passing:
                break
    for placed in found.values():
        yield Problem(
            "`softmax` inside the model makes the units of a layer compete for a sum of 1: most of them stay near 0, "
            "and so do their gradients.",
            placed.argument("activation"),
            "Use `relu` here; `softmax` belongs at the end.",
        )


def _many_sigmoids(network: Network, head: Head) -> Iterator[Problem]:
    if any(placed.layer.name == "BatchNormalization" for placed in network.layers.values()):
        return
    found = [
        placed
        for placed in network.layers.values()
        if placed.activation == "sigmoid" and placed not in (head.last, *head.after)
    ]
    count = sum(placed.repeat for placed in found)
    if count >= _MANY_SIGMOIDS:
        yield Problem(
            f"{count} hidden layers have `sigmoid`, each of which shrinks the gradient to a quarter or less: almost "
            "nothing of it reaches the first layers.",
            found[0].argument("activation"),
            "Use `relu`, or `BatchNormalization` between the layers.",
        )


def _equal_initial_weights(network: Network, head: Head) -> Iterator[Problem]:
    for placed in network.weighted:
        written = nested(placed.layer.arguments.get("kernel_initializer"))
        if written is None or canonical(written.name) not in _EQUAL or (placed.units or 0) < 2:
            continue
        if placed.number != head.last.number:
            yield Problem(
                f"`{written.name}` starts all {placed.units} units of this layer alike, and they learn alike: it is as "
                "good as a single unit.",
                placed.argument("kernel_initializer"),
                "Leave `kernel_initializer` out, or use `HeNormal` or `GlorotUniform`, which are random.",
            )


def _odd_dropout(network: Network) -> Iterator[Problem]:
    for placed in network.layers.values():
        rate = number(placed.layer.arguments.get("rate")) if "Dropout" in placed.layer.name else None
        if rate is None or 0 < rate < _HIGH_RATE:
            continue
        does = "drops nothing" if rate <= 0 else f"drops {rate:.0%} of what it gets: hardly anything is learned"
        yield Problem(
            f"`{placed.layer.name}` at the rate {rate:g} {does}.",
            placed.argument("rate"),
            "Rates from 0.1 to 0.5 are usual; or remove the layer.",
        )


def _strong_penalty(network: Network) -> Iterator[Problem]:
    for placed in network.layers.values():
        for argument, value in placed.layer.arguments.items():
            written = nested(value) if argument.endswith("_regularizer") else None
            for name, factor in written.arguments.items() if written else ():
                strength = number(factor)
                if name in ("l1", "l2", "factor") and strength is not None and strength >= 1:
                    path: Path = (*placed.argument(argument), written.name if written else "", name)
                    yield Problem(
                        f"A penalty of {strength:g} outweighs the loss: all weights are pulled to 0, and the model "
                        "learns nothing else.",
                        path,
                        "From 0.00001 to 0.01 is usual.",
                    )


def _unfitted_normalization(network: Network) -> Iterator[Problem]:
    for placed in network.layers.values():
        if placed.layer.name == "Normalization" and placed.layer.arguments.get("mean") is None:
            yield Problem(
                "`Normalization` inside the model is never fitted to the data: with the mean 0 and the variance 1 that "
                "it starts with, it changes nothing.",
                placed.path,
                "Move it to `dataset.preparation`, where it learns from the training examples; or give it `mean` and "
                "`variance`.",
            )


def _normalization_of_few(dataset: DatasetSpec, network: Network) -> Iterator[Problem]:
    found = [p for p in network.layers.values() if p.layer.name == "BatchNormalization"]
    if found and dataset.batch_size < _FEW_EXAMPLES:
        yield Problem(
            f"`BatchNormalization` takes mean and variance from each batch, but a batch has only {dataset.batch_size}: "
            "they are mostly chance, and the model behaves differently when it is tested.",
            ("dataset", "batch_size"),
            "Use `batch_size: 16` or more, or `LayerNormalization`.",
        )


RULES = (
    Rule("missing-activation", "two linear layers in a row, which can learn no more than one", _missing_activation),
    Rule("hidden-softmax", "a softmax before another layer", _hidden_softmax),
    Rule("many-sigmoids", "four or more hidden layers with sigmoid", _many_sigmoids),
    Rule("equal-initial-weights", "a hidden layer whose weights start all alike", _equal_initial_weights),
    Rule("odd-dropout", "a dropout that drops nothing, or nearly everything", _odd_dropout),
    Rule("strong-penalty", "a regularizer that outweighs the loss", _strong_penalty),
    Rule("unfitted-normalization", "a Normalization in the model, where nothing fits it", _unfitted_normalization),
    Rule("normalization-of-few", "batch normalization over fewer than four examples", _normalization_of_few),
)
