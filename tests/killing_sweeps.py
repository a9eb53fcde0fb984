"""Kills the processes of a sweep at random moments, goes on with it, and counts its trials.

    python -m tests.killing_sweeps [KILLS] [--jobs N]

With `--jobs`, so many processes run on the one sweep, each started by itself, and one of them is killed each time.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from pathlib import Path

from tests import killing
from tests.killing import Child, prepare, start

TRIALS = 6
SPEC = """
name: killed
dataset: {source: digits, validation: 0.2, batch_size: 128}
model:
  layers:
    - Flatten
    - {Dense: {units: 16, activation: relu}, name: hidden}
    - Dense: {units: 10, activation: softmax}
loss: sparse_categorical_crossentropy
optimizer: Adam
metrics: [accuracy]
train: {epochs: 2}
sweep:
  metric: val_accuracy
  trials: 6
  parameters:
    model.layers.hidden.Dense.units: {low: 4, high: 64, step: 4}
    optimizer.Adam.learning_rate: {low: 1e-4, high: 1e-1, logarithmic: true}
"""


def outcome(folder: Path) -> list[dict[str, object]]:
    """What the sweep has come to, trial by trial. Raises AssertionError if one is missing or unfinished."""
    from dlcli.runs.sweeps import SweepFolder
    from dlcli.sweeping.reading import read_result

    result = read_result(SweepFolder(folder))
    assert [trial.number for trial in result.trials] == list(range(TRIALS)), [trial.number for trial in result.trials]
    assert {trial.state for trial in result.trials} <= {"complete", "pruned"}, result.trials
    runs = sorted(int(path.name) for path in (folder / "trials").glob("[0-9]*"))
    assert runs == list(range(TRIALS)), runs
    assert json.loads((folder / "sweep.json").read_text())["state"] == "done"
    return [{"state": trial.state, "values": dict(trial.values), "value": trial.value} for trial in result.trials]


def main(kills: int, jobs: int, folder: Path, seed: int = 0) -> None:
    """Kill so often; each sweep is compared with one that nobody disturbed, where one process runs it at a time."""
    prepare()
    killing.HANGING_SECONDS = 1800
    import dlcli.sweeping.running  # noqa: F401

    rng = random.Random(seed)
    spec = folder / "killed.yaml"
    spec.write_text(SPEC)
    whole = folder / "whole" / "killed" / "one"
    arguments = ["sweep", str(spec), "--no-report", "--run-name", "one", "--runs-dir"]
    began = time.monotonic()
    undisturbed = start([*arguments, str(folder / "whole")], folder / "whole.txt")
    assert undisturbed.wait() == 0, (folder / "whole.txt").read_text()
    seconds = time.monotonic() - began
    expected = outcome(whole)
    done = turn = 0
    while done < kills:
        turn += 1
        runs = folder / f"turn{turn}"
        one = runs / "killed" / "one"
        output = folder / f"turn{turn}.txt"
        children: list[Child] = []
        left = 2 if jobs == 1 else jobs
        while True:
            resumed = ["sweep", "--no-report", "--resume", str(one)]
            if not one.exists():
                children = [start([*arguments, str(runs)], output)]
                while not one.exists() and not children[0].is_over():
                    time.sleep(0.01)
            children += [start(resumed, output) for _ in range(jobs - len(children))]
            if left:
                left -= 1
                victim = rng.choice(children)
                victim.kill_after(rng.uniform(0.0, seconds / jobs), 9)
                done += victim.wait() == -9
                children.remove(victim)
                continue
            codes = [child.wait() for child in children]
            assert set(codes) <= {0}, (codes, output.read_text()[-3000:])
            break
        found = outcome(one)
        if jobs == 1:
            assert found == expected, (found, expected)
        print(f"turn {turn}: {done} kills; {len(found)} trials, each once")  # noqa: T201


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        asked = int(sys.argv[1]) if sys.argv[1:2] and sys.argv[1].isdigit() else 4
        main(asked, int(sys.argv[sys.argv.index("--jobs") + 1]) if "--jobs" in sys.argv else 1, Path(place))
