"""One training under way: what it knows of itself, as a moment that can be saved, and how it goes back to one."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from dlcli.data.dataset import for_each
from dlcli.errors import CheckpointError
from dlcli.files import replacing
from dlcli.model.summary import ModelSummary
from dlcli.runs import RunFolder
from dlcli.training.callback_state import CallbackMemory
from dlcli.training.checkpoint import Checkpoint, Contents, open_checkpoint
from dlcli.training.engine import Collect, Logs
from dlcli.training.final import are_kept, shown_split
from dlcli.training.going_on import GoingOn, InEpoch
from dlcli.training.job import Job
from dlcli.training.listening import Listener
from dlcli.training.monitoring import Best
from dlcli.training.record import RunRecord
from dlcli.training.saving import Moment, Position, Saver
from dlcli.training.state import METRICS, OPTIMIZER, RANDOM, WEIGHTS, TrainingState, has_averages
from dlcli.training.stopping import Stop


class Follower(Protocol):
    """Keeps the epochs of a run elsewhere, each once, whatever happens to the run."""

    def go_on(self, history: Sequence[Mapping[str, Any]]) -> None:
        """These epochs are done, which are rows of history.csv, and no others: training begins, or has gone back."""

    def epoch_ended(self, row: Mapping[str, Any]) -> None:
        """One more is done."""


@dataclass
class Training:
    """One training under way.

    Attributes:
        job: the model, its data and its engine.
        run: where its files go.
        record: its run.json.
        listener: is told how it goes.
        stop: is asked between steps whether to stop.
        best: the best epoch so far.
        callbacks: Keras's list of the spec's callbacks.
        summary: of the model.
        history: a row for each epoch that is done.
        steps_done: in all epochs.
        in_epoch: how far the epoch has got that is not done.
        callbacks_done: whether the callbacks have heard of the end of the last epoch that is done.
        retries: how often it has gone back after its loss was no number.
        seconds_before: how long the processes before this one have trained.
        first: the moment at which it began, if it is small.
        keeps: whether what the best epoch puts out for `shown` is kept, for whoever looks closer.
        outputs: that, block by block; of the best epoch so far, where validation is what is shown.
        outputs_of: the epoch that it is of; 0 for the final evaluation.
        validated: the same of the last validation.
        followers: are told of each epoch that is done: what the spec asks for, such as TensorBoard.
    """

    job: Job
    run: RunFolder
    record: RunRecord
    listener: Listener
    stop: Stop
    best: Best
    callbacks: Any
    summary: ModelSummary
    history: list[dict[str, Any]] = field(default_factory=list)
    steps_done: int = 0
    in_epoch: InEpoch | None = None
    callbacks_done: bool = True
    retries: int = 0
    seconds_before: float = 0.0
    first: Moment | None = None
    keeps: bool = False
    outputs: list[Any] = field(default_factory=list)
    outputs_of: int = 0
    validated: list[Any] = field(default_factory=list)
    followers: Sequence[Follower] = ()
    began: float = field(default_factory=time.perf_counter)
    saver: Saver = field(init=False)
    state: TrainingState = field(init=False)
    memory: CallbackMemory = field(init=False)
    _fixed: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        job = self.job
        self.state = TrainingState(job.model, job.engine.feed.augmenting_layers())
        self.saver = Saver(self.run, job.model, self.take, self.state.size, job.loaded.spec.train.checkpoint)
        names = job.facts.class_names
        self._fixed = {
            "spec": job.loaded.spec.resolved(),
            "preparation": job.preparation.state(),
            "encoding": job.encoding.state(),
            "class_names": for_each(lambda classes: list(classes) if classes else None, names),
            "summary": self.summary.to_json(),
            "data": job.facts.kept(job.sizes),
            "versions": self.record.versions,
            "extensions": dict(job.loaded.extensions),
        }

    @property
    def position(self) -> Position:
        """Epochs done, and steps in all."""
        return Position(len(self.history), self.steps_done)

    @property
    def seconds(self) -> float:
        """How long the run has trained, all its processes together."""
        return self.seconds_before + time.perf_counter() - self.began

    def collector(self, split: str) -> Collect | None:
        """What collects the outputs for a split in the final evaluation; None if they are not to be kept."""
        return self.outputs.append if self.keeps and are_kept(self.job, split) else None

    def validation_collector(self) -> Collect | None:
        """What collects the outputs of a validation, if those of the best epoch's are what is shown in the end.

        None where they are not to be kept, or cost more than they save: Keras's own calls would compute them twice.
        """
        self.validated = []
        rows = self.job.rows
        is_shown = rows["validation"] is rows[shown_split(rows)] and not has_averages(self.job.model)
        can_be = is_shown and self.job.engine.path == "graph"
        return self.validated.append if can_be and self.collector(shown_split(rows)) is not None else None

    def found_best(self, epoch: int, value: float) -> None:
        """The epoch that is just done is the best so far."""
        self.best.epoch, self.best.value = epoch, value
        self.outputs, self.outputs_of = self.validated, epoch

    @property
    def kept(self) -> str:
        """What a person still has of the run, if it ends here."""
        saved = self.saver.saved
        return f"{self.run.last} holds epoch {saved.epoch}, step {saved.step}." if saved else "Nothing is saved yet."

    def begun(self) -> None:
        """The callbacks have heard that training begins: what they remember from now on is part of each moment."""
        self.memory = CallbackMemory(self.callbacks.callbacks)

    def take(self, *, copied: bool) -> Moment:
        """The moment that this training is at; see `dlcli.training.saving.TakeMoment`."""
        callbacks, arrays = self.memory.state()
        snapshot = self.state.snapshot(copied=copied, metrics=self.in_epoch is not None)
        snapshot.arrays.update(arrays)
        going_on = GoingOn(
            in_epoch=self.in_epoch,
            callbacks_done=self.callbacks_done,
            stop_training=bool(self.job.model.stop_training),
            best_epoch=self.best.epoch,
            best_value=self.best.value if self.best.epoch else None,
            retries=self.retries,
            seconds=round(self.seconds, 3),
            callbacks=callbacks,
            engine=self.record.engine_now(self.job.engine),
        )
        position = self.position
        contents = Contents(
            **self._fixed,
            position=position._asdict(),
            history=self.history[:],
            going_on=going_on.to_json(),
        )
        return Moment(position, contents, snapshot)

    def go_to_moment(self, moment: Moment) -> GoingOn:
        """Be where the training was. Raises CheckpointError if it does not fit."""
        for variable, values in moment.snapshot.shown:
            variable.assign(values)
        self._restore(moment.contents, moment.snapshot.arrays)
        return self._go_to(moment.contents)

    def go_to_checkpoint(self, checkpoint: Checkpoint) -> GoingOn:
        """Be where the checkpoint was. Raises CheckpointError if it does not fit."""
        if checkpoint.contents is None:
            raise CheckpointError(f"{checkpoint.path} was saved by plain Keras: it does not say how to go on.")
        checkpoint.load_weights(self.job.model)
        self._restore(checkpoint.contents, checkpoint.arrays())
        return self._go_to(checkpoint.contents)

    def _restore(self, contents: Contents, arrays: Mapping[str, Any]) -> None:
        going_on = GoingOn.from_json(contents.going_on)
        self.state.restore(arrays, (OPTIMIZER, RANDOM, WEIGHTS, *([METRICS] if going_on.in_epoch else [])))
        self.memory.restore(going_on.callbacks, arrays)

    def _restore_what_fits(self, contents: Contents, arrays: Mapping[str, Any]) -> list[str]:
        """The same for a training that is another one now; gives what begins anew."""
        anew = []
        changed = contents.spec["optimizer"] != self._fixed["spec"]["optimizer"]
        rate = self.state.rate if changed else None
        for group in (OPTIMIZER, RANDOM, WEIGHTS):
            try:
                self.state.restore(arrays, (group,))
            except CheckpointError as error:
                if group == WEIGHTS:
                    raise
                words = {OPTIMIZER: "What the optimizer remembers", RANDOM: "The random numbers of layers"}
                anew.append(f"{words[group]} begins anew: {error.message}")
        if rate is not None:
            self.job.model.optimizer.learning_rate = rate
        begun = self.memory.restore_what_fits(GoingOn.from_json(contents.going_on).callbacks, arrays)
        return [*anew, *(f"`{name}` begins anew." for name in begun)]

    def _go_to(self, contents: Contents) -> GoingOn:
        going_on = GoingOn.from_json(contents.going_on)
        self.history = [dict(row) for row in contents.history]
        self.steps_done = contents.position["step"]
        self.in_epoch, self.callbacks_done = going_on.in_epoch, going_on.callbacks_done
        self.job.model.stop_training = going_on.stop_training
        self.best.epoch, self.best.value = going_on.best_epoch, math.nan
        if going_on.best_value is not None:
            self.best.value = going_on.best_value
        return going_on

    def resume(self, checkpoint: Checkpoint, *, is_changed: bool = False) -> None:
        """Be where the checkpoint of an earlier process was.

        If the training `is_changed`, what does not fit to it begins anew, and so does an epoch that is not done.

        Raises:
            CheckpointError: it does not fit.
        """
        if is_changed and checkpoint.contents is not None:
            checkpoint.load_weights(self.job.model)
            anew = self._restore_what_fits(checkpoint.contents, checkpoint.arrays())
            going_on = self._go_to(checkpoint.contents)
            if self.in_epoch is not None:
                self.in_epoch = None
                anew.append(f"Epoch {len(self.history) + 1} begins anew.")
            if anew:
                self.listener.notice("changed", anew)
        else:
            going_on = self.go_to_checkpoint(checkpoint)
        self.retries, self.seconds_before = going_on.retries, going_on.seconds
        self.saver.saved = self.position
        self._see_best(checkpoint)

    def _see_best(self, checkpoint: Checkpoint) -> None:
        """See that best.h5 is of the best epoch that is known; if not, there is a new best one from here on.

        It is a later one if the run was killed between the writing of best.h5 and last.h5: then that epoch comes again.
        """
        if self.best.epoch == 0:
            return
        try:
            contents = open_checkpoint(self.run.best).contents if self.run.best.exists() else None
            lost = "there is no best.h5" if contents is None else ""
        except CheckpointError as error:
            contents, lost = None, error.message
        # One of the middle of an epoch takes the place of a best.h5 that someone has removed.
        is_whole = contents is not None and contents.going_on["in_epoch"] is None
        if contents is not None and is_whole and contents.position["epoch"] == self.best.epoch:
            return
        if lost:
            self.listener.notice("the best epoch is lost", [lost, "The best one from here on takes its place."])
        if self.in_epoch is not None:
            self.best.epoch, self.best.value = 0, math.nan
            return
        self.best.epoch, self.best.value = len(self.history), self.history[-1][self.best.monitor]
        with replacing(self.run.best) as beside:
            shutil.copyfile(checkpoint.path, beside)

    def row_of(self, epoch: int) -> Logs:
        """The figures of an epoch, counted from 1."""
        return self.history[epoch - 1]
