"""Changes a checkpoint at random and reads it, each time in a process of its own with a limit to memory and time.

    python -m tests.mutating CHECKPOINT [TIMES]

It forks, which a process that has threads, as TensorFlow makes them, should not: so this one imports no TensorFlow.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from dlcli.errors import CheckpointError
from dlcli.training.checkpoint import open_checkpoint
from dlcli.training.checkpoint_file import opened

_MOST_SECONDS = 300


def mutated(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    kind = rng.randrange(5)
    place = rng.randrange(len(changed))
    if kind == 0:
        for _ in range(rng.choice((1, 1, 2, 10))):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del changed[place:]
    elif kind == 2:
        length = min(rng.choice((1, 16, 512, 8192)), len(changed) - place)
        changed[place : place + length] = bytes(length)
    elif kind == 3:
        size = rng.choice((8, 64, 512))
        other = rng.randrange(len(changed) - size)
        place = min(place, len(changed) - size)
        changed[place : place + size], changed[other : other + size] = (
            changed[other : other + size], changed[place : place + size],
        )  # fmt: skip
    else:  # a damaged file whose seal is lost, too
        changed = changed[: -rng.choice((1, 20, 48, 60))]
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def read_in_child(path: Path, expected: dict[str, bytes]) -> int:
    """Read the checkpoint in a fork: 0 all is as it was, 1 told as damaged, 2 other numbers; negative for a signal."""
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    resource.setrlimit(resource.RLIMIT_AS, (6 * 2**30, 6 * 2**30))
    signal.alarm(_MOST_SECONDS)
    code = 3
    try:
        code = 0 if everything_in(path) == expected else 2
    except CheckpointError:
        code = 1
    finally:
        os._exit(code)


def everything_in(path: Path) -> dict[str, bytes]:
    checkpoint = open_checkpoint(path)
    found = {name: values.tobytes() for name, values in checkpoint.arrays().items()}
    found["contents"] = repr(checkpoint.contents).encode()
    with opened(path) as file:
        found["config"] = str(file.attrs["model_config"]).encode()

        def keep(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                found[name] = np.asarray(item[()]).tobytes()

        file["model_weights"].visititems(keep)
    return found


def main(path: Path, times: int) -> dict[int, int]:
    """How often each came out, told or harmless. Raises AssertionError at what is neither."""
    content, expected = path.read_bytes(), everything_in(path)
    rng = random.Random(5)
    outcomes: dict[int, int] = {}
    for number in range(times):
        path.write_bytes(changed := mutated(content, rng))
        code = read_in_child(path, expected)
        assert code in (0, 1), f"mutation {number}: {code}"
        assert code == 1 or changed == content or len(changed) >= len(content) - 60, f"mutation {number}"
        outcomes[code] = outcomes.get(code, 0) + 1
    return outcomes


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5000)))  # noqa: T201
