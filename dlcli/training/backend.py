"""Starts TensorFlow: environment, device, seeds. The only place that decides how the backend runs."""

from __future__ import annotations

import gc
import logging
import os
import sys
from dataclasses import dataclass, replace
from typing import Any

from dlcli.training.choices import Choices
from dlcli.training.devices import DeviceChoice, cpu_count, gpu_numbers, taken


@dataclass(frozen=True)
class Backend:
    """The backend in use.

    Attributes:
        device: "cpu" or "gpu".
        device_name: for a person, as in "GPU (NVIDIA H100)" or "CPU (2 cores)".
        versions: of the libraries that decide the numbers.
        gpu_count: how many GPUs are used at most.
        gpus: the numbers of the GPUs, if some of them were named; else None.
    """

    device: str
    device_name: str
    versions: dict[str, str]
    gpu_count: int = 0
    gpus: tuple[int, ...] | None = None


def start_backend(device: DeviceChoice = "auto") -> Backend:
    """Import TensorFlow and Keras for this device; no other one is used from then on in this process.

    Raises:
        DeviceError: a GPU was asked for that TensorFlow does not see.
    """
    set_environment()
    if device.startswith("cpu"):
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    _import()
    _spare_first_calls()
    import keras
    import numpy as np
    import tensorflow as tf

    # Keras 3.15 says at every save that HDF5 is legacy; checkpoints are HDF5 on purpose, and saved in every epoch.
    logging.getLogger("absl").addFilter(_is_news)
    there = tf.config.list_physical_devices("GPU")
    gpus = [there[number] for number in taken(device, [_gpu_name(tf, gpu) for gpu in there])]
    if there and gpus != there:
        tf.config.set_visible_devices(gpus, "GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if cpu_count(device) > 1:
        logical = [tf.config.LogicalDeviceConfiguration() for _ in range(cpu_count(device))]
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], logical)
    versions = {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__}
    return Backend("gpu" if gpus else "cpu", _device_name(tf, gpus), versions, len(gpus), gpu_numbers(device))


def use_threads(choices: Choices) -> Choices:
    """Let TensorFlow work with the chosen threads; gives what it does then.

    They are fixed at its first operation, and so are those of a second training in the same process.
    """
    if choices.intra_op_threads is None or choices.inter_op_threads is None:
        return choices
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(choices.intra_op_threads)
        tf.config.threading.set_inter_op_parallelism_threads(choices.inter_op_threads)
    except RuntimeError:
        because = f"{choices.because}; the threads are those that TensorFlow had begun with in this process"
        return replace(choices, because=because, intra_op_threads=None, inter_op_threads=None)
    return choices


def make_deterministic() -> None:
    """Let TensorFlow take only ways that give the same bits each time; what has none is an error there."""
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()


def set_environment() -> None:
    """What TensorFlow and Keras read when they are imported."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    # TensorFlow turns oneDNN on by itself only on newer processors; elsewhere it more than halves convolutions.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def _import() -> None:
    """Import TensorFlow, and keep the garbage collector from it, then and ever after.

    The 387,000 objects of TensorFlow 2.21.0 stay; `keras.utils.clear_session` would go through all of them each time.
    """
    if "tensorflow" in sys.modules:
        return
    gc.disable()
    try:
        import keras  # noqa: F401
        import tensorflow  # noqa: F401
    finally:
        gc.freeze()
        gc.enable()


def _spare_first_calls() -> None:
    """Let TensorFlow do less before it runs an operation, or a graph, for the first time.

    TensorFlow 2.21.0 makes a function for each kind of operation that runs outside graphs, and has no setting for it:
    `tensorflow/python/eager/context.py` asks for them. One takes 0.75 ms to make, a kernel alone 0.03 (2 cores). Each
    variable is a kind of its own, and seeding forgets them all: a network of three layers needs some two hundred.

    It looks for a better form of each graph twice over. The second look takes a third of the time and finds nothing
    more in what networks consist of; nor does the choice of a layout, which is for GPUs alone.
    """
    import tensorflow as tf
    from tensorflow.python import pywrap_tfe
    from tensorflow.python.eager import context

    there = context.context()
    if there._context_handle is not None:  # somebody has used TensorFlow in this process before
        pywrap_tfe.TFE_ContextSetRunEagerOpAsFunction(there._context_handle, False)
        return
    original = pywrap_tfe.TFE_ContextOptionsSetRunEagerOpAsFunction
    pywrap_tfe.TFE_ContextOptionsSetRunEagerOpAsFunction = lambda options, _: original(options, False)
    there._config = tf.compat.v1.ConfigProto()
    there._config.graph_options.rewrite_options.meta_optimizer_iterations = 1
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "-1" or not tf.config.list_physical_devices("GPU"):
        tf.config.optimizer.set_experimental_options({"layout_optimizer": False})


def _is_news(record: logging.LogRecord) -> bool:
    return "saving your model as an HDF5 file" not in record.getMessage()


def _device_name(tf: Any, gpus: list[Any]) -> str:
    if not gpus:
        return f"CPU ({os.cpu_count()} cores)"
    kinds = list(dict.fromkeys(_gpu_name(tf, gpu) for gpu in gpus))
    return f"{'GPU' if len(gpus) == 1 else f'{len(gpus)} GPUs'} ({', '.join(kinds)})"


def _gpu_name(tf: Any, gpu: Any) -> str:
    return str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name))


def set_seeds(seed: int) -> None:
    """Seed Python, NumPy and TensorFlow, and forget earlier models, so that a run starts from nothing."""
    import keras

    _forget_gradients()
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)


def _forget_gradients() -> None:
    """Let go of the graphs of earlier trainings, which need no gradients any more.

    TensorFlow 2.21 keeps for good what `tf.custom_gradient` registers in a graph, and with it the graph: each training
    that is traced leaves one, by `all_reduce` in Keras's optimizers, and one for each layer of dropout (3.7 MB each
    time, of a small network).
    """
    from tensorflow.python.framework import ops

    registered = ops.gradient_registry._registry
    for name in [name for name in registered if name.startswith("CustomGradient-")]:
        del registered[name]
