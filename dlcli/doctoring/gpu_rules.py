"""What is to be said of a GPU: that it works, or what exactly is missing, and how to install it."""

from __future__ import annotations

from collections.abc import Iterator

from dlcli.doctoring.finding import Finding, gibibytes, listed, numbers_of
from dlcli.doctoring.gpu import Card, Gpu, libraries_of

GPU = "GPU"
EXTRA = "`pip install 'dlcli[gpu]'`"
# The oldest drivers that run programs built for CUDA of a major version: NVIDIA's "Minor Version Compatibility".
_LEAST_DRIVER = {11: "450", 12: "525", 13: "580"}
_NEW_DRIVER = (
    "Ubuntu: `sudo ubuntu-drivers install`; others: https://www.nvidia.com/drivers. Then start the machine anew. On a "
    "cluster, ask who runs it."
)
_LITTLE = 0.25  # of a GPU's memory


def judge_gpu(gpu: Gpu) -> Iterator[Finding]:
    """What is to be said of it. A machine without a GPU lacks nothing."""
    if gpu.system != "Linux":
        yield from _elsewhere(gpu)
        return
    if not (gpu.on_bus or gpu.driver or gpu.cards or gpu.seen):
        yield Finding(GPU, "GPU", "ok", "None of NVIDIA's is on this machine: the CPU trains.")
        return
    yield from _judge_driver(gpu)
    yield from _judge_libraries(gpu)
    for card in gpu.cards:
        yield _judge_card(card, gpu)
    yield from _judge_seen(gpu)


def _elsewhere(gpu: Gpu) -> Iterator[Finding]:
    if gpu.seen:
        yield Finding(GPU, "GPU", "ok", ", ".join(gpu.seen))
        return
    advice = "In WSL2, `pip install 'dlcli[gpu]'` as on Linux." if gpu.system == "Windows" else None
    yield Finding(GPU, "GPU", "ok", f"TensorFlow's own packages use none on {gpu.system}: the CPU trains.", advice)


def _judge_driver(gpu: Gpu) -> Iterator[Finding]:
    if gpu.driver is None and not gpu.cards:
        found = "There is a GPU of NVIDIA's on this machine, but its driver does not run."
        yield Finding(GPU, "driver", "bad", found, _NEW_DRIVER)
        return
    if gpu.driver is not None and not gpu.reachable and not gpu.cards:
        found = f"Driver {gpu.driver} runs on this machine, but this process cannot reach its GPU: no /dev/nvidiactl."
        yield Finding(GPU, "driver", "bad", found, "Start the container with `docker run --gpus all`.")
        return
    if gpu.smi:
        found = f"`nvidia-smi` does not work: {gpu.smi[:200]}"
        is_new = "mismatch" in gpu.smi
        advice = "The driver was replaced while it ran: start the machine anew." if is_new else _NEW_DRIVER
        yield Finding(GPU, "driver", "bad", found, advice)
        return
    yield _judge_version(gpu)


def _judge_version(gpu: Gpu) -> Finding:
    least = _LEAST_DRIVER.get(next(iter(numbers_of(gpu.build.cuda or "")), 0)) if gpu.build is not None else None
    if gpu.driver is None:
        return Finding(GPU, "driver", "ok", "It runs; its version is not told.")
    if least is not None and numbers_of(gpu.driver) < numbers_of(least):
        cuda = gpu.build.cuda if gpu.build is not None else ""
        found = f"{gpu.driver} is too old: this TensorFlow is built for CUDA {cuda}, which needs {least} or newer."
        return Finding(GPU, "driver", "bad", found, _NEW_DRIVER)
    needed = f"; {least} or newer is needed" if least is not None else ""
    return Finding(GPU, "driver", "ok", f"{gpu.driver}{needed}")


def _judge_libraries(gpu: Gpu) -> Iterator[Finding]:
    if gpu.build is None:
        return
    if gpu.build.cuda is None:
        found = "This TensorFlow is built without CUDA: it can use no GPU."
        yield Finding(GPU, "TensorFlow", "bad", found, f"`pip uninstall -y tensorflow-cpu`, then {EXTRA}.")
        return
    wanted = libraries_of(gpu.build)
    missing = [name for name in wanted if gpu.libraries.get(name) is None]
    of_cudnn = [name for name in missing if "cudnn" in name]
    of_cuda = [name for name in missing if name not in of_cudnn]
    for what, version, names in (("CUDA", gpu.build.cuda, of_cuda), ("cuDNN", gpu.build.cudnn, of_cudnn)):
        if names:
            packages = " ".join(dict.fromkeys(wanted[name] for name in names))
            found = f"TensorFlow is built for {what} {version}, of which there is no {listed(names)}."
            yield Finding(GPU, what, "bad", found, f"{EXTRA}, which brings them: {packages}.")
        elif wanted:
            yield _judge_packages(gpu, what, str(version))
    if gpu.older:
        places = listed(str(path) for path in gpu.older)
        found = f"LD_LIBRARY_PATH puts {places} before cuDNN {gpu.build.cudnn}, for which TensorFlow is built."
        yield Finding(GPU, "LD_LIBRARY_PATH", "warn", found, "`unset LD_LIBRARY_PATH`: no package needs it.")


def _judge_packages(gpu: Gpu, what: str, version: str) -> Finding:
    """Of CUDA, or of cuDNN, which is there: whether its packages are of versions that fit."""
    mine = [one for one in gpu.packages if ("cudnn" in one.name) == (what == "cuDNN") and one.installed is not None]
    wrong = [f"{one.name} {one.installed} ({one.versions} is needed)" for one in mine if not one.fits]
    if wrong:
        return Finding(GPU, what, "bad", f"It does not fit TensorFlow: {listed(wrong)}.", f"{EXTRA} brings what fits.")
    path = next((path for name, path in gpu.libraries.items() if ("cudnn" in name) == (what == "cuDNN")), None)
    return Finding(GPU, what, "ok", f"It is there for {version}, in {path.parent if path else 'a package'}")


def _judge_card(card: Card, gpu: Gpu) -> Finding:
    name, memory = f"gpu:{card.number}", f"{gibibytes(card.free)} of {gibibytes(card.memory)} free"
    oldest = min((numbers_of(kind) for kind in gpu.build.kinds), default=()) if gpu.build is not None else ()
    capability = card.capability[0] * 10 + card.capability[-1] if card.capability else None
    if oldest and capability is not None and capability < oldest[0]:
        needed = f"{oldest[0] // 10}.{oldest[0] % 10}"
        has = ".".join(map(str, card.capability))
        found = f"{card.name} has compute capability {has}; this TensorFlow needs {needed}."
        return Finding(GPU, name, "bad", found, "Use an older TensorFlow with an older dlcli, or the CPU.")
    if card.memory and card.free < _LITTLE * card.memory:
        found = f"{card.name}, {memory}: other programs hold the rest."
        return Finding(GPU, name, "warn", found, "`nvidia-smi` shows which they are.")
    return Finding(GPU, name, "ok", f"{card.name}, {memory}")


def _judge_seen(gpu: Gpu) -> Iterator[Finding]:
    if gpu.seen:
        yield Finding(GPU, "TensorFlow", "ok", f"sees {listed(gpu.seen)}")
    elif gpu.visible is not None and (gpu.visible.strip() in ("", "-1") or not gpu.visible[:1].isalnum()):
        found = f"CUDA_VISIBLE_DEVICES={gpu.visible} hides every GPU: the CPU trains."
        yield Finding(GPU, "TensorFlow", "warn", found, "`unset CUDA_VISIBLE_DEVICES`.")
    elif gpu.build is not None and gpu.build.cuda is not None:
        said = f" It says: {gpu.log[-1][:300]}" if gpu.log else ""
        found = f"It sees no GPU: the CPU trains.{said}"
        advice = "Mend what is bad above." if said == "" else "Mend what is bad above, or what it says."
        yield Finding(GPU, "TensorFlow", "bad", found, advice)
