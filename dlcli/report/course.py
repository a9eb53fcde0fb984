"""The numbers that a diagnosis goes by: how a training went, and the score that it came to.

Scores are compared on one scale: the gain, 0 for the trivial predictor and 1 for no mistake.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from dlcli.report.remedies import LINEAR, NARROW, STOPS
from dlcli.report.shapes import first_near

_ENOUGH = 0.97
"""the gain from which on nearly nothing is left to be desired"""
_WEAK, _WEAK_NUMBERS = 0.75, 0.5
"""gains up to which a model is weak: of classes, and of numbers"""
_WEAK_IF_BARE, _WEAK_NUMBERS_IF_BARE = 0.9, 0.75
"""the same where the network has no hidden layer, or next to no units in one, so that more is easily had"""
_NEARLY_ALL, _WEAK_OF_RARE = 0.95, 0.4
"""what has so much right is not called weak; if that is because one class is rare, from such a gain on"""
_CHANCE = 0.05
"""so much of the gain, and no more, is taken for chance"""
_PENALTY, _MUCH = 0.5, 0.9
"""more than this of the loss is most of it; below this gain there is much to learn"""
_EARLY, _FEWEST_EPOCHS = 0.6, 10
"""by so much of the epochs, of so many at least, all the rest was for nothing"""
_BY_HEART_NEEDS = 0.2
"""so many parameters an example, and fewer, know none by heart"""
_BY_HEART = 0.7
"""so much of the training loss of the best epoch, and less, is of examples that are known by heart"""


@dataclass(frozen=True)
class Score:
    """The figure that a person looks at first, on several examples.

    Attributes:
        name: such as "accuracy".
        train: of the training examples, after training; None if it is not known.
        held_out: of examples that were not trained on; None if there are none.
        trivial: what always giving the most frequent class, or the mean, comes to on those; None if not known.
        perfect: what no mistake would come to: 1.0 for shares, 0.0 for errors.
        held_out_examples: how many these are.
        last_value: what saying that a series stays as it is comes to on those; None if it is no series.
        is_squared: whether an error is of squares, as a variance is; others are squared to be compared.
    """

    name: str
    train: float | None
    held_out: float | None
    trivial: float | None
    perfect: float
    held_out_examples: int = 0
    is_squared: bool = True
    last_value: float | None = None

    @property
    def chance(self) -> float:
        """By how much the gain may be another by chance, for so few examples: two standard deviations.

        Of a share that is all but perfect as of one with a mistake in a hundred; of errors roughly.
        """
        return self._chance(self.held_out, 2.0)

    def chance_below(self, gain: float) -> float:
        """By how much it hardly ever is another than this one, which is expected: three standard deviations."""
        return self._chance(None if self.trivial is None else self.trivial + gain * (self.perfect - self.trivial), 3.0)

    def _chance(self, expected: float | None, deviations: float) -> float:
        room, variance = 1.0, 0.25
        if self.perfect and self.trivial is not None:
            share = min(0.99, max(0.01, expected if expected is not None else 0.5))
            room, variance = max(0.05, self.perfect - self.trivial), share * (1 - share)
        return deviations * math.sqrt(variance / max(1, self.held_out_examples)) / room

    def gain(self, value: float | None) -> float | None:
        """How far a value is from trivial, 0, to perfect, 1; below 0 if it is worse; None if that is not known."""
        if value is None or self.trivial is None or not math.isfinite(value) or self.trivial == self.perfect:
            return None
        if self.perfect == 0.0:
            return 1 - (value / self.trivial) ** (1 if self.is_squared else 2)
        return (value - self.trivial) / (self.perfect - self.trivial)


@dataclass(frozen=True)
class Course:
    """How a training went.

    Attributes:
        train: the training loss of each epoch.
        validation: that of validation; empty if nothing is held out.
        best_epoch: counted from 1; None if it is not known.
        planned: how many epochs were asked for.
        score: the figure to judge by; None if there is none.
        train_loss: the loss on the training examples after training; None if it is not known.
        classes: how many; 0 for numbers.
        scores: the score of each epoch on the examples that are watched; empty if it is not known.
        trivial_loss: what the share of each class as its probability comes to, or the mean of numbers, if the loss is
            that crossentropy, or error, and all examples count alike; None otherwise.
        loss_of_zero: what 0 as the answer to everything comes to, if numbers are asked for; 0 otherwise.
        examples: to train on.
        parameters: that were trained.
        is_shuffled: whether the examples came in another order in each epoch.
        sortedness: if they did not, how much each target is like the one before, from 0 to 1; None if not known.
        confidence: how much surer right answers are than mistakes, as an area under the ROC curve; None if not known.
        mistakes: how many mistakes that is measured on.
        rates: the learning rate of each epoch.
        error: what ended the run, if it failed.
        had: what the spec has already of what could be advised, by the words of `dlcli.report.remedies`.
        smoothed: the loss with smoothed labels, as a spec would have it; empty where there is none.
        constant: what the model gives for every example; empty if it does not give the same for all.
        is_far: whether the numbers asked for are so far from 0, or so large, that a network is long on its way there.
        telling: the column that alone tells every answer; empty if there is none.
        judged_by: how many examples choose the best epoch; 0 if none are held out for that.
        penalty: which share of the loss is a penalty on the weights; None if that is not known.
        bounds: of what the last layer's activation can give, if that is a number; None if it can give any.
        beyond: which share of the true answers is beyond these bounds.
    """

    train: Sequence[float]
    validation: Sequence[float] = ()
    best_epoch: int | None = None
    planned: int = 0
    score: Score | None = None
    train_loss: float | None = None
    classes: int = 0
    scores: Sequence[float] = ()
    trivial_loss: float | None = None
    loss_of_zero: float = 0.0
    examples: int = 0
    parameters: int = 0
    is_shuffled: bool = True
    sortedness: float | None = None
    confidence: float | None = None
    mistakes: int = 0
    rates: Sequence[float] = field(default_factory=tuple)
    error: str = ""
    had: Collection[str] = frozenset()
    smoothed: str = ""
    constant: str = ""
    is_far: bool = False
    telling: str = ""
    judged_by: int = 0
    penalty: float | None = None
    bounds: tuple[float, float] | None = None
    beyond: float = 0.0

    @property
    def watched(self) -> Sequence[float]:
        """The validation loss, or else that of training."""
        return self.validation or self.train

    @property
    def is_by_heart(self) -> bool:
        """Whether the training loss fell far below what it was when that of validation was least."""
        best = self.best_epoch or len(self.train)
        if (self.gains()[0] or 0.0) < 0:
            return False
        return bool(self.validation) and best <= len(self.train) and min(self.train) < _BY_HEART * self.train[best - 1]

    @property
    def is_stopped(self) -> bool:
        """Whether EarlyStopping has ended it, as it is there for."""
        return STOPS in self.had and len(self.train) < self.planned

    @property
    def still_from(self) -> int | None:
        """The epoch from which on next to nothing came, if most epochs were after it; None if it was stopped then."""
        losses = self.watched
        if self.is_stopped or len(losses) < _FEWEST_EPOCHS or not all(map(math.isfinite, losses)):
            return None
        near = first_near(losses)
        return near if near <= _EARLY * len(losses) else None

    @property
    def is_enough(self) -> bool:
        """Whether nearly nothing is left to gain."""
        _, held_out = self.gains()
        return held_out is not None and held_out > _ENOUGH

    @property
    def is_enough_by_chance(self) -> bool:
        """The same, but for one or two mistakes of few examples."""
        _, held_out = self.gains()
        if held_out is None or self.score is None or not self.is_of_classes:
            return self.is_enough
        return held_out + min(_CHANCE, self.score.chance) > _ENOUGH

    @property
    def is_small(self) -> bool:
        """Whether a network has too few parameters to learn its examples by heart."""
        return 0 < self.parameters < _BY_HEART_NEEDS * self.examples

    @property
    def is_held_back(self) -> bool:
        """Whether most of the loss is the penalty on the weights, and much is left to learn."""
        train, held_out = self.gains()
        gain = train if train is not None else held_out
        return (self.penalty or 0.0) > _PENALTY and gain is not None and gain < _MUCH

    @property
    def is_of_classes(self) -> bool:
        """Whether the score is a share of right answers, and not an error of numbers."""
        return self.score is not None and self.score.perfect == 1.0

    def is_weak(self, gain: float) -> bool:
        """Whether a model with such a gain is called weak: of numbers, much is often told by no input."""
        if self.is_of_classes and gain > _WEAK_OF_RARE and self._is_nearly_all(gain):
            return False
        if self.is_bare:
            return gain <= (_WEAK_IF_BARE if self.is_of_classes else _WEAK_NUMBERS_IF_BARE)
        return gain <= (_WEAK if self.is_of_classes else _WEAK_NUMBERS)

    def _is_nearly_all(self, gain: float) -> bool:
        """Whether with such a gain nearly all answers are right, as where one class is rare."""
        trivial = self.score.trivial if self.score is not None else None
        return trivial is not None and trivial + gain * (1 - trivial) >= _NEARLY_ALL

    @property
    def is_bare(self) -> bool:
        """Whether a network has no hidden layer that bends anything, or one of very few units."""
        return LINEAR in self.had or NARROW in self.had

    @property
    def is_fine(self) -> bool:
        """Whether others are answered well enough, but for chance, that nothing needs to be missing."""
        _, held_out = self.gains()
        if held_out is None or self.score is None:
            return False
        if not self.is_of_classes:
            return not self.is_weak(held_out)
        chance = self.score.chance if self._is_nearly_all(held_out) else min(_CHANCE, self.score.chance)
        return not self.is_weak(held_out + chance)

    def gains(self) -> tuple[float | None, float | None]:
        """Of the training examples, and of others."""
        if self.score is None:
            return None, None
        return self.score.gain(self.score.train), self.score.gain(self.score.held_out)
