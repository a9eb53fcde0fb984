"""Rules about how the data is divided: shuffling, what is held out, batches."""

from __future__ import annotations

from collections.abc import Iterator

from dlcli.errors import Problem
from dlcli.spec.grammar import DatasetSpec, TrainSpec
from dlcli.spec.lints.callbacks import monitor_of
from dlcli.spec.lints.rules import Rule
from dlcli.spec.lints.sizes import split_sizes, training_examples
from dlcli.spec.lints.written import counted

_FEWEST = 10
_FEWEST_OF_A_CLASS = 2
_USUAL_SHARE = 0.2


def _no_shuffle(dataset: DatasetSpec) -> Iterator[Problem]:
    examples = training_examples(dataset)
    if not dataset.shuffle and (examples is None or dataset.batch_size < examples):
        yield Problem(
            "Without shuffling, each epoch has the same batches in the same order, and the last ones leave the deepest "
            "traces: learning is slower, and less even.",
            ("dataset", "shuffle"),
            "Remove `shuffle: false`; runs with the same `seed` stay the same.",
        )


def _validation_is_test(dataset: DatasetSpec, train: TrainSpec) -> Iterator[Problem]:
    if dataset.validation != "test":
        return
    if not train.monitor or train.monitor.startswith("val_"):
        chosen = "the best epoch"
    elif any((monitor_of(callback) or "").startswith("val_") for callback in train.callbacks):
        chosen = "when to stop or to slow down"
    else:
        return  # the test set is only looked at
    yield Problem(
        f"`validation: test` chooses {chosen} by the test set, so the test score is better than it will be on new "
        "examples.",
        ("dataset", "validation"),
        "Hold out training examples, as in `validation: 0.1`; or choose by training with `train.monitor: loss`.",
    )


def _batch_beyond_data(dataset: DatasetSpec) -> Iterator[Problem]:
    examples = training_examples(dataset)
    is_written = "batch_size" in dataset.model_fields_set  # the default is meant for more than a handful of points
    if is_written and examples is not None and dataset.batch_size > examples:
        yield Problem(
            f"A batch of {dataset.batch_size:,} is larger than the training set of {counted(examples, 'example')}: "
            "an epoch is a single step, so the model learns in as many steps as there are epochs.",
            ("dataset", "batch_size"),
            f"Use a smaller batch, such as `batch_size: {_usual_batch(examples)}`.",
        )


def _usual_batch(examples: int) -> int:
    """A power of two that gives at least ten steps an epoch, and at most 32."""
    return min(32, 1 << max(0, (examples // 10).bit_length() - 1))


def _tiny_split(dataset: DatasetSpec) -> Iterator[Problem]:
    sizes, known = split_sizes(dataset), dataset.source.examples
    if sizes is None or known is None:
        return
    held_out = {} if known[1] or dataset.test == 0 else {"test": sizes.test}
    if isinstance(dataset.validation, float):
        held_out["validation"] = sizes.validation
    classes = dataset.source.number_of_classes or 1
    among = f" for {classes} classes" if classes > 1 else ""
    for name, count in held_out.items():
        if count >= max(_FEWEST, _FEWEST_OF_A_CLASS * classes):
            continue
        effect = (
            "too few, and dlcli stops before training"
            if count < classes
            else f"a single one moves the score by {1 / count:.0%}, so it says next to nothing"
        )
        yield Problem(
            f"`{name}: {getattr(dataset, name):g}` holds out {counted(count, 'example')}{among}: {effect}.",
            ("dataset", name),
            "Use more examples."
            if getattr(dataset, name) >= _USUAL_SHARE
            else f"Hold out more, as in `{name}: {_USUAL_SHARE}`; or use more examples.",
        )


def _unused_test_fraction(dataset: DatasetSpec) -> Iterator[Problem]:
    known = dataset.source.examples
    default = type(dataset).model_fields["test"].default
    if known is not None and known[1] and dataset.test != default:
        yield Problem(
            f"`{dataset.source.name}` brings a test set of {counted(known[1], 'example')}, and that is used: "
            f"`test: {dataset.test:g}` does nothing.",
            ("dataset", "test"),
            "Remove it; `validation: 0.1` holds out training examples.",
        )


RULES = (
    Rule("no-shuffle", "training examples always in the same order", _no_shuffle),
    Rule("validation-is-test", "the best epoch, or the end, chosen by the test set", _validation_is_test),
    Rule("batch-beyond-data", "a batch larger than the training set", _batch_beyond_data),
    Rule("tiny-split", "so few examples held out that their score means nothing", _tiny_split),
    Rule("unused-test-fraction", "a test fraction, where the source brings a test set", _unused_test_fraction),
)
