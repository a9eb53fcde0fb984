"""`make benchmark`: epochs of dlcli, the plain script and, if installed, PyTorch and Lightning, by turns; a table of ratios."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.networks import NETWORKS, Network, write_data
from tests.benchmarks.turns import Contender, race


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
    """Time the networks whose names begin as one of `chosen` does, or all."""
    print("| network | | ms a step | dlcli is × as fast | least to most | first epoch, s | peak, MB |")
    print("|---|---|---|---|---|---|---|")
    for network in NETWORKS:
        if chosen and not network.name.startswith(tuple(chosen)):
            continue
        with tempfile.TemporaryDirectory() as folder:
            write_data(Path(folder), network.rows)
            for result in race(contenders(network, Path(folder)), rounds):
                span = f"{result.least:.2f} to {result.most:.2f}"
                figures = f"{result.milliseconds:.3g} | {result.ratio:.2f} | {span}"
                print(
                    f"| {network.name} | {result.name} | {figures} | {result.first_epoch:.1f} | {result.peak_mb:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main(sys.argv[1:])
