"""`make benchmark`: epochs of dlcli and of the other ways to train, by turns, then whole commands; tables of ratios.
And of reading alone: `make benchmark NETWORKS=images`, or `tables`.
"""

from __future__ import annotations

import importlib.util
import json
import platform
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

from dlcli.data.memory import cores
from tests.benchmarks import images, tables, whole
from tests.benchmarks.networks import NETWORKS, Network, write_data
from tests.benchmarks.turns import Contender, compare, take_turns

_COLUMNS = (
    "network", "", "ms a step", "dlcli is × as fast", "least to most", "first epoch, s", "memory, MB",
    "of the best speed",
)  # fmt: skip


def contenders(network: Network, data: Path) -> list[Contender]:
    """The processes that train this network; dlcli comes first."""
    sizes = [network.script, str(network.batch_size), str(network.rows), str(data)]
    modules = {"dlcli": ["dlcli_run", network.name, str(data), "graph"], "plain Keras": ["plain_scripts", *sizes]}
    if importlib.util.find_spec("torch"):
        modules["PyTorch"] = ["torch_loops", *sizes]
    if importlib.util.find_spec("lightning"):
        modules["Lightning"] = ["lightning_runs", *sizes]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2"}
    return [
        Contender(name, [sys.executable, "-m", f"tests.benchmarks.{module}", *arguments], quiet)
        for name, (module, *arguments) in modules.items()
    ]


def main(chosen: list[str], rounds: int = 7) -> None:
    """Time the networks, and the whole jobs, whose names begin as one of `chosen` does, or all."""
    print(f"{date.today()}, {platform.machine()}, {cores()} processors.\n")
    _steps([network for network in NETWORKS if not chosen or network.name.startswith(tuple(chosen))], rounds)
    whole.main([name for name in whole.JOBS if not chosen or name.startswith(tuple(chosen))], rounds)


def _steps(networks: list[Network], rounds: int) -> None:
    """A table of the time that a step takes."""
    if not networks:
        return
    limits = _limits()
    peaks = ", ".join(f"{name} {speed:.0f}" for name, speed in limits["peaks"].items())
    print(f"At best, billions of operations a second: {peaks}.\n")
    print(f"| {' | '.join(_COLUMNS)} |")
    print("|---" * len(_COLUMNS) + "|")
    for network in networks:
        with tempfile.TemporaryDirectory() as folder:
            write_data(Path(folder), network.rows)
            every = contenders(network, Path(folder))
            take_turns(every, rounds)
            for result in compare(every):
                span = f"{result.least:.2f} to {result.most:.2f}"
                speed = limits["operations"][network.name] / (result.milliseconds / 1000)
                best = limits["peaks"]["convolutions" if "cnn" in network.name else "matrix products"]
                figures = [
                    network.name, result.name, f"{result.milliseconds:.3g}", f"{result.ratio:.2f}", span,
                    f"{result.first_epoch:.1f}", f"{result.peak_mb:.0f}", f"{speed / best:.1%}",
                ]  # fmt: skip
                print(f"| {' | '.join(figures)} |", flush=True)


def _limits() -> dict[str, dict[str, float]]:
    """See `tests.benchmarks.peak`; in a process of its own, so that this one stays small."""
    done = subprocess.run([sys.executable, "-m", "tests.benchmarks.peak"], capture_output=True, text=True, check=True)
    limits: dict[str, dict[str, float]] = json.loads(done.stdout)
    return limits


if __name__ == "__main__":
    if sys.argv[1:] == ["images"]:
        images.main()
    elif sys.argv[1:] == ["tables"]:
        tables.main()
    else:
        main(sys.argv[1:])
