"""The lines of a first spec from the layers on: network, loss, optimizer, metrics, training; with the reasons."""

from __future__ import annotations

from collections.abc import Sequence

from dlcli.describing.columns import shortened
from dlcli.starting.lines import beside, wrapped
from dlcli.starting.plans import Holding, Plan

_UNEVEN = 0.75  # a class with this share of the examples makes accuracy look better than it is
_LENGTH = 16  # of what is learned of a word


def hidden_layers(width: int, examples: int, plan: Plan) -> list[str]:
    """For rows of numbers."""
    why = (
        f"About {width:,} numbers go in for each of {examples:,} rows to train on: {plan.layers} layers of {plan.units}"
    )
    if plan.dropout:
        how_much = "much" if plan.dropout >= 0.3 else "a little"
        why += f", and {how_much} dropout against learning the rows by heart"
    lines = wrapped(f"{why}.", 4)
    if plan.noise:
        noise = (f"    - GaussianNoise: {{stddev: {plan.noise:g}}}", "in training alone: neighbours are told alike")
        lines += beside([noise])
    for _ in range(plan.layers):
        lines.append(f"    - Dense: {{units: {plan.units}, activation: relu}}")
        if plan.dropout:
            lines.append(f"    - Dropout: {{rate: {plan.dropout:g}}}")
    return lines


def text_layers(vocabulary: int, plan: Plan) -> list[str]:
    """For the numbers of words."""
    lines = [
        (f"    - Embedding: {{input_dim: {vocabulary}, output_dim: {_LENGTH}}}",
         f"{_LENGTH} numbers for each word, learned"),
        ("    - GlobalAveragePooling1D", "their mean, whatever the order of the words"),
        (f"    - Dense: {{units: {plan.units}, activation: relu}}", ""),
        (f"    - Dropout: {{rate: {plan.dropout:g}}}", "against learning the texts by heart"),
    ]  # fmt: skip
    return beside(lines)


def class_output(classes: Sequence[str]) -> list[str]:
    """The last layer, for classes."""
    if len(classes) == 2:
        meaning = f"how probable {shortened(classes[1])} is; {shortened(classes[0])} is the rest"
        return beside([("    - Dense: {units: 1, activation: sigmoid}", meaning)])
    return beside(
        [(f"    - Dense: {{units: {len(classes)}, activation: softmax}}", "how probable each class is")]
    )  # fmt: skip


def number_output() -> list[str]:
    """The last layer, for a number."""
    return ["    - Dense: {units: 1}"]


def learning(counts: Sequence[tuple[str, int]] | None, plan: Plan, examples: int = 0) -> list[str]:
    """Loss, optimizer and metrics.

    Args:
        counts: the classes with their examples; None for a number.
        plan: how it is trained.
        examples: how many are trained on, where the learning rate falls with the steps.
    """
    if counts is None:
        loss = ("loss: {Huber: {delta: 0.5}}", "squared errors, but those above half a deviation count as they are")
        metrics = [("metrics: [mean_absolute_error, r2_score]", "r2_score: 1 is perfect, 0 no better than the mean")]
    else:
        share = max(count for _, count in counts) / max(1, sum(count for _, count in counts))
        is_uneven = len(counts) == 2 and share >= _UNEVEN
        loss = ("loss: binary_crossentropy", "") if len(counts) == 2 else ("loss: sparse_categorical_crossentropy", "")
        comment = f"AUC, too, since {share:.0%} are {shortened(counts[0][0])}: 0.5 is guessing, 1 is perfect"
        metrics = [("metrics: [accuracy, AUC]", comment)] if is_uneven else [("metrics: [accuracy]", "")]
    return beside([loss, *_optimizer(plan, examples), *metrics])


def _optimizer(plan: Plan, examples: int) -> list[tuple[str, str]]:
    rate = f"learning_rate: {plan.learning_rate:g}"
    if plan.is_annealed:
        steps = plan.epochs * -(-examples // plan.batch_size)
        return [
            ("optimizer:", ""),
            ("  AdamW:", ""),
            (f"    weight_decay: {plan.weight_decay:g}", "it keeps weights small"),
            (f"    learning_rate: {{CosineDecay: {{initial_{rate}, decay_steps: {steps}}}}}",
             f"it falls to 0 in {plan.epochs} epochs: write both or none anew"),
        ]  # fmt: skip
    if not plan.weight_decay:
        return [("optimizer:", ""), (f"  Adam: {{{rate}}}", "")]
    decay = f"weight_decay: {plan.weight_decay:g}"
    return [("optimizer:", ""), (f"  AdamW: {{{rate}, {decay}}}", "the decay keeps weights small")]


def training(plan: Plan, holding: Holding) -> list[str]:
    """How long."""
    silenced = {}
    if holding.is_tiny:
        silenced["tiny-split"] = f"there are too few examples for more: {len(holding.train):,} to train on"
    if plan.is_annealed and holding.validation is not None:
        silenced["monitors-training"] = "with so few rows to validate on, the least val_loss is chance"
    silence = [f'  {code}: "{why}"' for code, why in silenced.items()]
    tail = ["", "silence:", *silence] if silence else []
    if holding.validation is None:
        return ["train:", f"  epochs: {plan.epochs}", *tail]
    if plan.is_annealed:
        why = "the epoch that is kept has the least loss, and so is one of the last: the learning rate is nearly 0 then"
        return ["train:", f"  epochs: {plan.epochs}", *beside([("  monitor: loss", why)]), *tail]
    stop = f"    - EarlyStopping: {{monitor: val_loss, patience: {plan.patience}}}"
    return [
        "train:",
        *beside([(f"  epochs: {plan.epochs}", "at most"),
                 ("  callbacks:", ""),
                 (stop, "epochs without a better one; the best is kept")]),
        *tail,
    ]  # fmt: skip
