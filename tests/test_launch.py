"""`dlcli launch`: several workers on this machine, with small programs instead of trainings."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dlcli.data.memory import cores
from dlcli.machine import process_started

from .conftest import CONFIGS, Command, Done

LAUNCHER = """
import json, os, sys
from dlcli.console import Screen
from dlcli.errors import DlcliError
from dlcli.machine import gpus_here
from dlcli.training.launching import Patience, launch
screen, gpus = Screen(), gpus_here()
workers, patience, command = json.loads(sys.argv[1])
try:
    launch(
        command, workers, tell=screen.message, show=screen.passed_on, gpus=gpus, patience=Patience(*patience),
        chief_moves="MOVES" in os.environ,
    )
except DlcliError as error:
    screen.error(error)
    sys.exit(error.exit_code)
"""
WORKER = """
import json, os, signal, sys, time
config = json.loads(os.environ["TF_CONFIG"])
workers, index = config["cluster"]["worker"], config["task"]["index"]
def say(text, to=1):
    os.write(to, (text + os.linesep).encode())  # in one piece, also with PYTHONUNBUFFERED: others write there, too
def on(number, do):
    signal.signal(number, lambda *_: do())
def leave(code):
    say(f"leaves with {code}")
    os._exit(code)
def meet(count=len(workers)):
    folder = os.environ["MEETING"]
    open(os.path.join(folder, str(os.getpid())), "w").close()
    while len(os.listdir(folder)) < count:
        time.sleep(0.01)
"""
"""what begins each program: `meet` waits until all are there"""
LONG = 1000.0


class Launched:
    """A launcher, in a process of its own, as a shell starts it."""

    def __init__(
        self, workers: int, program: str, patience: Sequence[float] = (LONG, LONG, LONG), **environment: str
    ) -> None:
        command = [sys.executable, "-S", "-c", WORKER + program]
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, json.dumps([workers, patience, command])],
            env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.lines: list[bytes] = []

    def end(self) -> Done:
        out, err = self.process.communicate(timeout=100)
        told = b"".join([*self.lines, err])
        return Done(self.process.returncode, out.decode(), told.decode())

    def hears(self, text: str, times: int = 1) -> None:
        """Wait until that many lines of standard error have this."""
        assert self.process.stderr is not None
        while times > 0:
            line = self.process.stderr.readline()
            assert line, b"".join(self.lines).decode()
            self.lines.append(line)
            times -= text in line.decode()


def ran(workers: int, program: str, patience: Sequence[float] = (LONG, LONG, LONG), **environment: str) -> Done:
    return Launched(workers, program, patience, **environment).end()


def test_the_chief_writes_as_it_is_and_the_others_behind_their_number() -> None:
    done = ran(3, r"""
if index == 0:
    say("a result")
    print("\x1b[1mprogress\x1b[0m\rmore", end="", file=sys.stderr)
if index == 1:
    sys.stdout.write("part")
    sys.stdout.flush()
    time.sleep(0.15)
    sys.stdout.write("ly\n\nthe ")
    sys.stdout.flush()
    os.write(2, b"end \xff")
if index == 2:
    for number in range(5_000):
        print(f"{number:05}" * 10)
    sys.stdout.write("x" * 150_000)
""")  # fmt: skip
    assert (done.code, done.out) == (0, "a result\n")
    assert "\x1b[1mprogress\x1b[0m\rmore" in done.err
    lines = done.err.replace("\x1b[1mprogress\x1b[0m\rmore", "").split("\n")
    assert [line for line in lines if line.startswith("worker 1")] == [
        "worker 1 | partly", "worker 1 | ", "worker 1 | the end �",
    ]  # fmt: skip
    third = [line.removeprefix("worker 2 | ") for line in lines if line.startswith("worker 2 | ")]
    assert third[:5_000] == [f"{number:05}" * 10 for number in range(5_000)]
    assert "".join(third[5_000:]) == "x" * 150_000
    assert len(lines) == 3 + len(third) + 1


@pytest.mark.parametrize(
    ("program", "code", "end"),
    [
        # The others are asked to end, and killed if they do not.
        ("index == 1 and sys.exit(3); time.sleep(100)", 3, "ended with exit code 3"),
        ("index == 1 and sys.exit(1); [time.sleep(1) for _ in range(100)]", 1, "ended with exit code 1"),
        ("index == 1 and os.kill(os.getpid(), 9); time.sleep(100)", 4, "was killed by SIGKILL"),
        ("index == 1 and os.kill(os.getpid(), 40); time.sleep(100)", 4, "was killed by signal 40"),
        ("index == 0 and sys.exit(2); time.sleep(100)", 2, "ended with exit code 2"),
        # Its peers may be sooner to tell that it is gone.
        ("index == 1 and time.sleep(0.5); sys.exit(3 if index == 1 else 4)", 3, "ended with exit code 3"),
    ],
)  # fmt: skip
def test_one_that_fails_ends_all(program: str, code: int, end: str, tmp_path: Path) -> None:
    begins = """
os.write(2, f"{index} is {os.getpid()}{os.linesep}".encode())
on(signal.SIGTERM, lambda: leave(143) if index == 2 else say("no"))
meet()
"""
    patience = (LONG, LONG, LONG) if "else 4" in program else (0.1, 0.3, LONG)
    done = ran(3, begins + program, patience, MEETING=str(tmp_path))
    assert done.code == code
    processes = {int(index): int(process) for index, process in re.findall(r"(\d) is (\d+)$", done.err, re.MULTILINE)}
    failed = int(program.split("index == ")[1][0])
    assert f"error: worker {failed} (pid {processes[failed]}) {end}.\n" in done.err
    assert not any(map(process_started, processes.values()))
    if "sys.exit(3);" in program:
        assert f"worker 1 (pid {processes[1]}) {end}; the others are stopped.\n" in done.err
        assert "worker 2 | leaves with 143" in done.err
    assert ("--resume auto" in done.err) == (code == 4)


def test_a_worker_that_is_stopped_lets_the_others_save() -> None:
    # Each has agreed to stop, and the chief takes its time; SIGTERM now would be a second one.
    done = ran(2, """
if index == 1:
    leave(143)
on(signal.SIGTERM, lambda: leave(1))
time.sleep(0.4)
leave(143)
""", (0.1, 0.1, LONG))  # fmt: skip
    assert done.code == 143
    assert "others are stopped" not in done.err
    assert ran(2, "index == 1 and leave(130); time.sleep(100)", (LONG, LONG, 0.2)).code == 130


SAVES = """
asked = []
def stop(number):
    asked.append(number)
    say(f"asked {len(asked)}", to=2)
    if len(asked) > 1:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
on(signal.SIGINT, lambda: stop(signal.SIGINT))
on(signal.SIGTERM, lambda: stop(signal.SIGTERM))
say("ready", to=2)
"""


def test_a_signal_is_passed_on_and_waited_for() -> None:
    launched = Launched(2, f"{SAVES}\nwhile not asked: time.sleep(0.02)\ntime.sleep(0.3)\nleave(130)")
    launched.hears("ready", 2)
    launched.process.send_signal(signal.SIGINT)
    done = launched.end()
    assert (done.code, done.out) == (130, "leaves with 130\n")
    assert done.err.count("asked") == 2
    assert "worker 1 | leaves with 130\n" in done.err
    assert "error: Stopped by SIGINT.\n\n  The same command with `--resume auto` goes on" in done.err


def test_a_second_signal_is_passed_on() -> None:
    launched = Launched(2, f"{SAVES}\nwhile True: time.sleep(0.05)")
    launched.hears("ready", 2)
    launched.process.send_signal(signal.SIGINT)
    launched.hears("asked 1", 2)
    launched.process.send_signal(signal.SIGINT)
    done = launched.end()
    assert done.code == 130
    assert done.err.count("asked 2") == 2


def test_after_a_second_signal_what_hangs_is_killed() -> None:
    program = "on(signal.SIGTERM, lambda: say('no'))\nsay('ready', to=2)\n"
    launched = Launched(2, program + "while True: time.sleep(0.05)", (LONG, 0.2, LONG))
    launched.hears("ready", 2)
    launched.process.send_signal(signal.SIGTERM)
    launched.hears("worker 1 | no")
    launched.process.send_signal(signal.SIGTERM)
    assert launched.end().code == 143


def test_a_signal_at_the_end_of_a_training_is_no_failure() -> None:
    launched = Launched(2, f"{SAVES}\nwhile not asked: time.sleep(0.05)\nindex and leave(143)")
    launched.hears("ready", 2)
    launched.process.send_signal(signal.SIGTERM)
    assert launched.end().code == 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel does not tell")
def test_a_killed_launcher_leaves_no_orphans() -> None:
    launched = Launched(3, "os.write(2, f'is {os.getpid()}{os.linesep}'.encode()); time.sleep(100)")
    launched.hears("is ", 3)
    launched.process.kill()
    launched.process.communicate(timeout=100)  # until nobody has the pipes
    processes = [int(line.split()[-1]) for line in launched.lines]
    assert len(processes) == 3
    until = time.monotonic() + 100
    while any(map(process_started, processes)):
        assert time.monotonic() < until
        time.sleep(0.02)


CONNECTS = """
import socket
here = socket.socket()
here.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gRPC does
here.bind(("", int(workers[index].split(":")[1])))
here.listen()
other = workers[(index + 1) % len(workers)].split(":")
while True:
    try:
        socket.create_connection((other[0], int(other[1]))).close()
        break
    except ConnectionRefusedError:
        time.sleep(0.02)
here.accept()
processors = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
seen = [os.environ.get(name) for name in ("no_grpc_proxy", "CUDA_VISIBLE_DEVICES", "TF_NUM_INTRAOP_THREADS")]
say(json.dumps([workers, index, processors, *seen]), to=2)
meet(8)
"""


def test_each_has_an_address_processors_and_gpus_of_its_own(tmp_path: Path) -> None:
    counts = (2, 5, 1)
    plain = {"no_grpc_proxy": "", "no_proxy": "", "TF_NUM_INTRAOP_THREADS": ""}
    environments = (
        {**plain, "no_proxy": "local", "CUDA_VISIBLE_DEVICES": "4,GPU-a, 6,7,8"},
        {**plain, "CUDA_VISIBLE_DEVICES": "0,1,-1,2,3,4"},
        {**plain, "CUDA_VISIBLE_DEVICES": ""},
    )
    expected = (
        [("local,127.0.0.1", "4,GPU-a"), ("local,127.0.0.1", "6,7")],
        [("127.0.0.1", "0,1,-1,2,3,4")] * 5,  # two for five: they are not divided
        [("127.0.0.1", "")],
    )
    together = [
        Launched(count, CONNECTS, MEETING=str(tmp_path), **environment)
        for count, environment in zip(counts, environments, strict=True)
    ]
    every = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    addresses: list[str] = []
    for launched, count, own in zip(together, counts, expected, strict=True):
        done = launched.end()
        assert done.code == 0, done.err
        told = sorted((json.loads(line.split(" | ")[-1]) for line in done.err.splitlines()), key=lambda one: one[1])
        assert [index for _, index, *_ in told] == list(range(count))
        assert all(workers == told[0][0] for workers, *_ in told)
        addresses += told[0][0]
        shared = [processor for _, _, processors, *_ in told for processor in processors]
        if count <= len(every):
            assert len(shared) == len(set(shared)) == len(every) // count * count
        else:
            assert sorted(shared) == sorted(every * count)
            assert {threads for *_, threads in told} == {str(max(1, cores() // count))}
        assert [(direct, gpus) for *_, direct, gpus, _ in told] == own
    assert len(set(addresses)) == len(addresses) == 8
    assert all(address.startswith("127.0.0.1:") for address in addresses)


def test_a_program_that_is_not_there() -> None:
    command = [sys.executable, "-c", LAUNCHER, json.dumps([2, [1, 1, 1], ["/nowhere/python"]])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 4
    assert "error: Worker 0 cannot be started: [Errno 2] No such file or directory: '/nowhere/python'." in done.stderr


@pytest.mark.parametrize("code", [0, 3])
def test_lines_wait_for_bars_that_move_over_them(code: int, tmp_path: Path) -> None:
    program = f"""
if index == 1:
    say("is here")
    meet()
    say("leaves")
    os._exit({code})
meet()
time.sleep(0.5)
say("bars", to=2)
"""
    done = ran(2, program, MEETING=str(tmp_path), MOVES="")
    first, *rest = done.err.splitlines()
    assert first == "bars"
    assert rest[:2] == ["worker 1 | is here", "worker 1 | leaves"]
    assert done.code == code
    assert any("worker 1 (pid" in line for line in rest) == bool(code)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--workers", 2], "Name what the workers are to run."),
        (["--workers", 2, "--"], "Name what the workers are to run."),
        (["--workers", 2, "--", "sweep", "a b.yaml"], "Workers run `train`; received `sweep 'a b.yaml'`."),
        (["--workers", 2, "--", "configs/mnist_cnn.yaml"], "Workers run `train`; received `configs/mnist_cnn.yaml`."),
        (["--workers", 2, "--", "launch", "--workers", 2], "Workers run `train`"),
        (["--workers", 2, "--", "train"], "Name the YAML file to train."),
        (["--workers", 2, "--", "train", "none.yaml"], "There is no file none.yaml."),
        (
            ["--workers", 2, "--", "train", CONFIGS / "iris.yaml", "--smoke", "--resume", "auto"],
            "it cannot --resume one",
        ),
        (["--workers", 2, "--", "train", CONFIGS / "iris.yaml", "--set", "train.epochs=x"], "must be a whole number"),
        (["--workers", 2, "--", "train", CONFIGS / "iris.yaml", "--workers", 2], "No such option: --workers"),
        (
            ["--workers", 2, "--", "train", CONFIGS / "iris.yaml", "--strategy", "none"],
            "the strategy `none` is for one",
        ),
        (
            ["--workers", 2, "--", "train", CONFIGS / "iris.yaml", "--set", "train.strategy=mirrored"],
            "the strategy `mirrored` is for one process",
        ),
        (["--workers", 2, "--", "train", CONFIGS / "iris.yaml", "--device", "gpu:x"], "--device gpu:x: it must be"),
        (["--workers", 2, "--", "train", CONFIGS / "iris.yaml", "--max-time", "x"], "--max-time x"),
        (["--workers", 2, "--", "train", CONFIGS / "iris.yaml", "--strategy", "x"], "--strategy x"),
        # Also without `--`, what comes after `train` is its own.
        (["--workers", 2, "train", CONFIGS / "iris.yaml", "--epoch", 2], "No such option: --epoch"),
        (["--workers", 2, "--run-name", "x", "--", "train", "a.yaml"], "No such option: --run-name"),
        (["--", "train", CONFIGS / "iris.yaml"], "Missing option '--workers'"),
        (["--workers", 0, "--", "train", CONFIGS / "iris.yaml"], "Invalid value for '--workers'"),
        (["--workers", "two", "--", "train", CONFIGS / "iris.yaml"], "Invalid value for '--workers'"),
        (["--workers", 2000, "--", "train", CONFIGS / "iris.yaml"], "Invalid value for '--workers'"),
    ],
)
def test_wrong_usage_is_told_once(dlcli: Command, arguments: list[Any], said: str) -> None:
    done = dlcli("launch", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.count(said) == 1
    assert "worker 1 |" not in done.err


def test_what_is_a_worker_launches_none(dlcli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    done = dlcli("launch", "--workers", 2, "--", "train", CONFIGS / "iris.yaml")
    assert done.code == 2
    assert "error: TF_CONFIG says that this is worker 1 of 2 already." in done.err


def test_the_help_of_what_workers_run(dlcli: Command) -> None:
    done = dlcli("launch", "--workers", 2, "--", "train", "--help")
    assert done.code == 0
    assert "--run-name" in done.out
