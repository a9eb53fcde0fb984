"""Arrays that TensorFlow can take as they are, without a copy: their first byte is at a multiple of 64."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dlcli.data.dataset import Array

BYTES = 64
"""what TensorFlow's kernels ask for (2.21: EIGEN_MAX_ALIGN_BYTES; one that is not so ends the process)"""


def empty(shape: Sequence[int], dtype: npt.DTypeLike) -> Array:
    """An array whose values are whatever was in the memory."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + BYTES, np.uint8)
    begin = -memory.ctypes.data % BYTES
    return memory[begin : begin + size].view(dtype).reshape(shape)


def aligned(array: Array) -> Array:
    """The array itself, if TensorFlow can take it so; else a copy."""
    if array.flags.c_contiguous and array.flags.writeable and array.ctypes.data % BYTES == 0:
        return array
    copied = empty(array.shape, array.dtype)
    copied[...] = array
    return copied
