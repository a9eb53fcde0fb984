"""How the steps of a model run on this machine: threads, halves of a batch, XLA. Chosen by rules before they start.

The rules come from measurements, and measure nothing themselves: so the same spec on the same kind of machine makes the
same choices, and the same choices give the same bits. What is chosen, and why, is in run.json. Imports no TensorFlow.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from dlcli.data.memory import cores
from dlcli.model.summary import LayerSummary, ModelSummary

EVALUATION_BATCH_SIZE = 256
THREADS = "TF_NUM_INTRAOP_THREADS"

# Multiply-adds of a step, all layers forward, below which one thread is the fastest: three dense layers took 0.6 of the
# time of two threads with 16 and 64 units, 0.8 with 256 (9 million), and 1.4 of it with 512 (85 million).
_SMALL_STEP = 10_000_000
# The same for a recurrent layer, at each moment of its sequence: an LSTM of 64 units took 0.8 of two threads' time (0.6
# million, batch 32). TensorFlow's SINGLE_THREADED_EXECUTOR would halve that, but it waits for ever where a metric or a
# layer has a condition and there is one thread (TensorFlow 2.21).
_SMALL_MOMENT = 1_000_000
# The steps of an epoch from which on XLA compiles them: that takes 0.6 s for three layers, and saves from 0.1 ms (three
# layers of 100 units) to 5 ms a step (of 512 units, with dropout); for an LSTM over 200 moments 2 s, and 20 ms a step.
# How many epochs there are does not count: a run that is extended must come to the same bits as a longer one.
_WORTH_COMPILING = 64
_WORTH_COMPILING_SEQUENCES = 16
_SMALLEST_HALF = 8
# Multiply-adds of an example for each weight, from which on halves of a batch pay although each makes a whole gradient:
# a transformer over 28 moments took 0.75 of the time (TensorFlow 2.21), a dense layer uses each weight once.
_USED_OFTEN = 8
# Multiply-adds of a step from which on halves of a batch do not pay: up to 2 billion they took 0.9 of the time that
# halves of operations take; at 145 billion, with 58 million weights, 1.4 of it (one race, on a busy machine).
_LARGE_STEP = 10_000_000_000
_SMALL = "the work is less than that of handing it from thread to thread"
_COMPILED = "XLA makes one pass over memory of what would be many"
_DENSE = "matrix products keep all processors busy by themselves"
_MIXED = "for layers that compute in 16 bits nothing better is known than what TensorFlow does by itself"

_RECURRENT = frozenset({"LSTM", "GRU", "SimpleRNN", "Bidirectional"})
# Each example's output depends on that example alone, so that a batch may be taken in two halves.
_APART = frozenset((
    "Activation", "Add", "AdditiveAttention", "AlphaDropout", "Attention", "Average", "AveragePooling1D",
    "AveragePooling2D", "AveragePooling3D", "Concatenate", "Conv1D", "Conv1DTranspose", "Conv2D", "Conv2DTranspose",
    "Conv3D", "Conv3DTranspose", "Cropping1D", "Cropping2D", "Cropping3D", "Dense", "DepthwiseConv1D",
    "DepthwiseConv2D", "Dot", "Dropout", "ELU", "EinsumDense", "Embedding", "Flatten", "GaussianDropout",
    "GaussianNoise", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D", "GlobalMaxPooling1D",
    "GlobalMaxPooling2D", "GlobalMaxPooling3D", "GroupNormalization", "GroupedQueryAttention", "Identity", "InputLayer",
    "LayerNormalization", "LeakyReLU", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "Maximum", "Minimum",
    "MultiHeadAttention", "Multiply", "Normalization", "PReLU", "Permute", "RMSNormalization", "ReLU", "RepeatVector",
    "Rescaling", "Reshape", "SeparableConv1D", "SeparableConv2D", "Softmax", "SpatialDropout1D", "SpatialDropout2D",
    "SpatialDropout3D", "Subtract", "UnitNormalization", "UpSampling1D", "UpSampling2D", "UpSampling3D",
    "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D",
))  # fmt: skip
# What XLA (TensorFlow 2.21) does 1.2 to 20 times as fast as single operations. Left out are convolutions (a step of
# mnist_cnn took 1.5 s instead of 20 ms), pooling, and `Embedding`: for an index that is too large, XLA takes the last.
_COMPILABLE = frozenset((
    "Activation", "Add", "AlphaDropout", "Average", "BatchNormalization", "Concatenate", "Dense", "Dot", "Dropout",
    "ELU", "EinsumDense", "Flatten", "GaussianDropout", "GaussianNoise", "Identity", "InputLayer", "LayerNormalization",
    "LeakyReLU", "Maximum", "Minimum", "Multiply", "Normalization", "PReLU", "Permute", "RMSNormalization", "ReLU",
    "RepeatVector", "Rescaling", "Reshape", "Softmax", "Subtract", "UnitNormalization",
))  # fmt: skip


@dataclass(frozen=True)
class Choices:
    """How steps run.

    Attributes:
        because: why so, for a person.
        intra_op_threads: among how many threads one operation is divided; None for TensorFlow's own choice.
        inter_op_threads: how many operations run at once; None for TensorFlow's own choice.
        towers: into how many parts, run side by side, a batch of training is divided on its way through the model.
        test_towers: the same for a batch of validation, evaluation or prediction.
        compiled_from: from how many steps an epoch on XLA should compile those of training; None for never.
        compiled: whether it does.
    """

    because: str = "nothing better is known than what TensorFlow does by itself"
    intra_op_threads: int | None = None
    inter_op_threads: int | None = None
    towers: int = 1
    test_towers: int = 1
    compiled_from: int | None = None
    compiled: bool = False

    def for_epochs(self, steps: int) -> Choices:
        """The same, once it is known how many steps an epoch of training has."""
        compiled = self.compiled_from is not None and steps >= self.compiled_from
        return replace(self, compiled=compiled, because=f"{self.because}; {_COMPILED}") if compiled else self


def core_shares(parts: int) -> list[set[int]] | None:
    """The processors of each of so many processes, so that none waits for another's; None if they are too few."""
    if not hasattr(os, "sched_setaffinity") or cores() < parts:
        return None
    every = sorted(os.sched_getaffinity(0))
    return [set(every[number::parts]) for number in range(parts)]


def for_copies(copies: int, here: int) -> Choices:
    """How the steps of a model run that has copies on processors, so many of them in this process.

    Among how many threads an operation is divided decides its last bits. It is as many as a copy has processors, so
    that workers of this machine come to what copies in one process do; or what TF_NUM_INTRAOP_THREADS says, which is
    TensorFlow's own variable, to do here what workers elsewhere did.
    """
    asked = os.environ.get(THREADS, "")
    threads = int(asked) if asked.isdecimal() and int(asked) else max(1, cores() // here)
    return Choices(f"{copies} copies of the model work side by side", threads, max(here, cores()))


def choose(
    summary: ModelSummary,
    batch_size: int,
    device: str,
    *,
    besides: Collection[str] | None = None,
    precision: str = "float32",
    processors: int | None = None,
) -> Choices:
    """How the steps of a model should run.

    Args:
        summary: the model.
        batch_size: examples a step.
        device: "cpu" or "gpu".
        besides: the classes of the layers that prepare and augment, if there is training.
        precision: that of the spec.
        processors: how many there are; None to count them.
    """
    processors = processors or cores()
    if device != "cpu" or precision != "float32":
        return Choices(_MIXED if device == "cpu" else "a GPU runs the steps, and has its own ways")
    names = {layer.class_name for layer in summary.leaves}
    if not names <= _APART | _RECURRENT | {"BatchNormalization"}:
        return Choices()
    convolves = any("Conv" in name for name in names)
    is_recurrent = bool(names & _RECURRENT)
    compilable = besides is not None and names - _RECURRENT | set(besides) <= _COMPILABLE
    if is_recurrent and not convolves and _recurrent_weights(summary.leaves) * batch_size <= _SMALL_MOMENT:
        because, compiled_from = f"{_SMALL}, at each moment of a sequence", _WORTH_COMPILING_SEQUENCES
        return Choices(because, 1, 1, compiled_from=compiled_from if compilable else None)
    if not is_recurrent and not convolves and summary.multiply_adds * batch_size <= _SMALL_STEP:
        return Choices(_SMALL, 1, 1, compiled_from=_WORTH_COMPILING if compilable else None)
    if compilable and not is_recurrent:
        return Choices(_DENSE, compiled_from=_WORTH_COMPILING)
    if processors != 2:
        return Choices()  # not measured
    test_towers = 2 if names <= _APART else 1
    if not convolves and (test_towers == 1 or summary.multiply_adds < _USED_OFTEN * _multiplied(summary.leaves)):
        # Halves of a batch would each make a whole gradient of a large matrix.
        because = "two operations side by side keep two processors busier than halves of one"
        return Choices(because, 1, 2, test_towers=test_towers)
    if test_towers == 1 or batch_size < 2 * _SMALLEST_HALF or summary.multiply_adds * batch_size >= _LARGE_STEP:
        return Choices()
    because = "two halves of a batch side by side keep two processors busier than halves of operations"
    return Choices(because, 1, 2, towers=2, test_towers=2)


def _multiplied(layers: Iterable[LayerSummary]) -> int:
    """How many weights there are, but for those that are only looked up."""
    return sum(layer.parameters for layer in layers if layer.class_name != "Embedding")


def _recurrent_weights(layers: Iterable[LayerSummary]) -> int:
    return sum(layer.parameters for layer in layers if layer.class_name in _RECURRENT)
