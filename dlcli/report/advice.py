"""What to try when a fit is not what it should be, the most promising first; nothing that the spec has already."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from statistics import fmean

from dlcli.figures import number
from dlcli.report.course import Course
from dlcli.report.remedies import (
    AUGMENTS,
    BALANCES,
    CLIPS,
    DROPOUT,
    FIXED,
    GOES_BACK,
    LINEAR,
    ONE_BATCH,
    PENALTY,
    PICTURES,
    RELUS,
    SCHEDULE,
    SMOOTHS,
    SQUASHED,
    STANDARDIZED,
    STOPS,
)
from dlcli.report.shapes import falls_steadily, last_fifths

# The most frequent class alone has so much of all examples that an accuracy tells little.
_UNBALANCED = 0.8
# Of the first loss so much is left where the rate was too small; of the largest rate so little at a schedule's end.
_SLOW, _SPENT = 0.7, 0.05
_STILL = 0.04  # a loss that falls by so much in the last fifth of the epochs still does

# Of a gain so high a larger network has little more to find; with gains so near, it does as well elsewhere.
_HIGH, _SAME, _ALIKE = 0.9, 0.05, 1.2
_LONG, _POOR = 10, 0.5
_HUGE = 1000.0  # times the least loss: what large inputs begin with
_MANY_MISTAKES = 30
_ENOUGH = 50  # examples, some of which can be held out

Lines = Iterator[str]


def advice_for(kind: str, course: Course) -> tuple[str, ...]:
    """Whole sentences on what to try about a finding of this kind; none where there is nothing to do."""
    return tuple(_ADVICE[kind](course)) if kind in _ADVICE else ()


def _diverged(course: Course) -> Lines:
    yield "A smaller learning rate: a tenth of it, first."
    if CLIPS not in course.had:
        yield "Gradients that are cut off: `clipnorm: 1.0` for the optimizer."
    yield "Look at the inputs for values that are very large or missing: `dlcli data`."
    if GOES_BACK not in course.had:
        yield "`train: {divergence: {factor: 0.1, retries: 3}}` goes back and on with a smaller rate by itself."


def _thrown_off(course: Course) -> Lines:
    yield "A smaller learning rate: a tenth of it, first."
    yield "Look at the inputs for values that are very large: `dlcli data`. They make the steps as large."
    if CLIPS not in course.had:
        yield "Gradients that are cut off: `clipnorm: 1.0` for the optimizer."


def _not_shuffled(course: Course) -> Lines:
    yield "Leave `dataset.shuffle` out, or set it to true."


def _unstable(course: Course) -> Lines:
    if not course.is_shuffled:
        yield "`dataset.shuffle: true`: examples in a fixed order pull the weights to and fro."
    yield "A smaller learning rate: a third or a tenth of it."
    if max(course.train) > _HUGE * min(course.train):
        yield "Look at the inputs for values that are very large: `dlcli data`. They make the steps as large."
    if ONE_BATCH not in course.had:
        yield "Larger batches, whose gradients differ less: twice `dataset.batch_size`."
    if SCHEDULE not in course.had:
        yield "A schedule that makes the rate smaller in the end, such as `CosineDecay`."
    if CLIPS not in course.had:
        yield "Gradients that are cut off: `clipnorm: 1.0` for the optimizer."


def _learned_nothing(course: Course) -> Lines:
    score = course.score
    is_unbalanced = score is not None and score.perfect == 1.0 and (score.trivial or 0.0) >= _UNBALANCED
    if is_unbalanced and BALANCES not in course.had:
        yield (
            "`train: {class_weight: balanced}`: nearly all examples are of one class, so answering it always costs "
            "little. The table of classes tells more than the accuracy."
        )
    yield from _nearer(course)
    yield from _weaker(course)
    yield from _patience(course)
    if course.is_by_heart:
        yield "Look at inputs and labels side by side: `dlcli data --plot`. What is asked may not be in the inputs."
        yield "More examples, or other inputs: learning these by heart tells nothing of others."
        return
    yield from _about_layers(course)
    relus = " Too large a rate ends ReLU units at once." if RELUS in course.had else ""
    if falls_steadily(course.train):
        yield "A larger learning rate: ten times as large, first."
    else:
        yield f"Another learning rate: a tenth of it, then ten times as large.{relus}"
    yield "Look at inputs and labels side by side: `dlcli data --plot`."
    if LINEAR not in course.had:
        yield "More units or layers."


def _nearer(course: Course) -> Lines:
    if course.is_far and STANDARDIZED not in course.had:
        yield "`dataset: {labels: standardized}`: the loss is then of numbers around 0, whatever their unit."


def _about_layers(course: Course) -> Lines:
    """What in the layers themselves may be why they learn little."""
    if LINEAR in course.had:
        yield (
            "A hidden layer with an activation, such as `Dense: {units: 32, activation: relu}`: without one, a network "
            "is linear in its inputs."
        )
    if FIXED in course.had:
        yield (
            "The usual initializers: kernels that begin with one number make all units of a layer the same, and biases "
            "far below 0 let no ReLU unit fire."
        )
    if SQUASHED in course.had:
        yield (
            "`relu` instead of `sigmoid` and `tanh` in the hidden layers: through several of these next to no gradient "
            "comes back."
        )


def _as_it_was(course: Course) -> Lines:
    yield "A longer window (`length`), and other columns that tell what comes."
    yield "A longer training, or another learning rate."
    yield "If each row is the one before and chance, there is no more to learn."


def _label_noise(course: Course) -> Lines:
    train, held_out = course.gains()
    if train is not None and held_out is not None and held_out > train + _SAME:
        yield "Look at the labels of the training examples: more of them may be wrong than of the others."
    yield "Look at the surest mistakes below: the labels of some may be wrong."
    if course.smoothed and SMOOTHS not in course.had:
        yield f"A loss that trusts labels less: `{course.smoothed}`."


def _overfitting(course: Course) -> Lines:
    augments = PICTURES in course.had and AUGMENTS not in course.had
    yield f"More examples{'; `dataset.augment` makes others of the pictures that there are' if augments else ''}."
    there = [word for word, is_there in _RESTRAINTS.items() if is_there in course.had]
    lacking = [word for word, is_there in _RESTRAINTS.items() if is_there not in course.had]
    more = [" or ".join(lacking)] if lacking else []
    more += [f"more of the {' and the '.join(there)} that it has"] if there else []
    yield f"A smaller network, {', or '.join(more)}."
    _, held_out = course.gains()
    if held_out is not None and held_out < _POOR and course.mistakes >= _MANY_MISTAKES:
        yield "Look at the surest mistakes below: if labels are wrong, they are what is learned by heart."
    if not course.validation and course.examples >= _ENOUGH:
        yield "`dataset.validation: 0.1`, so that best.h5 is chosen by examples that it has not been trained on."
    if course.validation and STOPS not in course.had:
        yield "`EarlyStopping: {monitor: val_loss, patience: 5}`. best.h5 has the best epoch in any case."


_RESTRAINTS = {"`Dropout`": DROPOUT, "`L2`": PENALTY}


def _undertrained(course: Course) -> Lines:
    losses, rates = course.watched, course.rates
    yield from _nearer(course)
    larger = "A larger learning rate: ten times as large, first."
    train, _ = course.gains()
    is_long = len(losses) >= _LONG  # a few epochs do not tell of the rate
    is_slow = is_long and course.train[-1] > _SLOW * course.train[0]
    if is_long and train is not None and course.is_weak(train):
        yield from _weaker(course)
    if is_slow:
        yield larger
    if rates and rates[-1] < _SPENT * max(rates):
        yield f"A longer schedule: with the rate of its end, {rates[-1]:.3g}, going on would change little."
    else:
        yield f"Go on for longer: `--resume RUN --epochs +{max(1, len(losses))}`."
    yield from _patience(course)
    if not course.is_shuffled:
        yield "`dataset.shuffle: true`, if the examples are in some order: it slows what is learned."
    if ONE_BATCH in course.had:
        yield "A smaller `dataset.batch_size`: all examples are one batch, so an epoch is one step."
    if not is_slow:
        yield "A larger learning rate, if the loss falls slowly from the first epoch on."


def _patience(course: Course) -> Lines:
    done = len(course.train)
    if STOPS in course.had and done < course.planned:
        yield f"More `patience` for `EarlyStopping`, which ended it after {done} of {course.planned} epochs."


def _underfitting(course: Course) -> Lines:
    yield from _weaker(course)
    yield from _about_layers(course)
    if LINEAR not in course.had:
        yield "More units, or more layers."
    before, last = last_fifths(course.train)
    if before - last > _STILL * before:
        yield f"Go on for longer, too: `--resume RUN --epochs +{len(course.train)}`."
    yield "If a larger network is no better, what is asked may not be in the inputs, or many labels are wrong."


def _weaker(course: Course) -> Lines:
    """What holds a network back, to be less of."""
    there = [word for word, is_there in _RESTRAINTS.items() if is_there in course.had]
    if there:
        yield f"Less {' and '.join(there).replace('`L2`', 'regularization')}, which holds it back in training."
    if AUGMENTS in course.had:
        yield "Gentler augmentation: it may change examples beyond what can be told apart."


def _plateau(course: Course) -> Lines:
    figure = "val_loss" if course.validation else "loss"
    if STOPS not in course.had:
        yield f"`EarlyStopping: {{monitor: {figure}, patience: 5}}` saves the time."
    else:
        yield "Less `patience` for `EarlyStopping`, or a `min_delta`, saves the time."
    if SCHEDULE not in course.had:
        yield "`ReduceLROnPlateau`, or a schedule: a smaller rate may find a lower loss."
    elif course.rates and course.rates[-1] > _SPENT * max(course.rates):
        yield f"A rate that becomes smaller yet: at the end it was {number(course.rates[-1])}."

    if _is_as_weak_in_training(course):
        yield "More units or layers: it is no better on its own training examples."


def _is_as_weak_in_training(course: Course) -> bool:
    """Whether what is missing is missing in training, too: by the scores, and by the losses at the end."""
    train, held_out = course.gains()
    if train is None or train > _HIGH or (held_out is not None and train - held_out > _SAME):
        return False
    tail = max(1, len(course.train) // 10)
    return not course.validation or fmean(course.validation[-tail:]) < _ALIKE * fmean(course.train[-tail:])


def _rate_spent(course: Course) -> Lines:
    yield "A schedule that takes longer: more `decay_steps` (steps, not epochs), or a `decay_rate` nearer to 1."
    yield "With `ReduceLROnPlateau`: more `patience`, a `factor` nearer to 1, or a `min_lr`."
    yield "The same rate in each epoch, to see what there is to gain."


def _given_away(course: Course) -> Lines:
    yield "If that column is known only when the answer is, leave it out: `features`, or `columns: {NAME: skip}`."
    yield "If it is known before, no network is needed."


def _few_examples(course: Course) -> Lines:
    yield "`dataset.folds: 5` holds out each example once, and shows by how much the figures differ."
    yield "More examples, or a larger share of them for `dataset.validation` and `dataset.test`."


def _out_of_reach(course: Course) -> Lines:
    yield "No activation in the last layer: it then gives any number."


def _easier(course: Course) -> Lines:
    yield "Look at how the examples are divided: `dlcli data` tells the sizes, and which are in two splits."
    yield "Look at the labels of the training examples: more of them may be wrong than of the others."


def _short(course: Course) -> Lines:
    yield from _patience(course)
    yield f"Go on for longer: `--resume RUN --epochs +{_LONG}`."


def _good(course: Course) -> Lines:
    if course.validation and course.still_from is not None and STOPS not in course.had:
        yield "`EarlyStopping: {monitor: val_loss, patience: 5}` saves the time of the epochs that bring nothing."
    if not course.validation and course.examples >= _ENOUGH:
        yield "`dataset.validation: 0.1` shows over- and underfitting as it comes."


_ADVICE: Mapping[str, Callable[[Course], Lines]] = {
    "diverged": _diverged,
    "thrown-off": _thrown_off,
    "not-shuffled": _not_shuffled,
    "unstable": _unstable,
    "learned-nothing": _learned_nothing,
    "as-it-was": _as_it_was,
    "out-of-reach": _out_of_reach,
    "easier": _easier,
    "label-noise": _label_noise,
    "overfitting": _overfitting,
    "undertrained": _undertrained,
    "underfitting": _underfitting,
    "rate-spent": _rate_spent,
    "plateau": _plateau,
    "given-away": _given_away,
    "few-examples": _few_examples,
    "short": _short,
    "good": _good,
}
