"""Files that are made to break a reader: each is refused with a clear message, in 2 s and 500 MB.

The exit code, the message and the memory are those of `dlcli check --static FILE` in a process of its own, as a user
runs it. The time is taken in the process of the tests, around `load_spec`: what Python needs to start is not the file's
doing, and varies on a busy machine by more than all else.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from dlcli.errors import SpecError
from dlcli.problem_text import problems_text
from dlcli.spec.catalogue import Catalogue
from dlcli.spec.loading import load_spec
from tests.conftest import seconds_here, shipped_catalogue, some_of

MOST_SECONDS = 2.0
MOST_MEGABYTES = 500
MOST_OUTPUT = 100_000  # characters: a message is for a person
# Beyond this a process cannot go, so that a file that breaks the reader does not break the machine.
ADDRESS_SPACE = 4 * 2**30
GOOD = """\
dataset: {source: iris}
model:
  layers:
    - Dense: {units: 3, activation: softmax}
loss: sparse_categorical_crossentropy
"""
LEVELS = 10_000


def with_line(line: str) -> bytes:
    return f"{GOOD}{line}\n".encode()


def random_bytes(seed: int) -> bytes:
    return random.Random(seed).randbytes(4_000)


def random_text(seed: int) -> bytes:
    """Characters that mean something in YAML, in no order."""
    signs = "abz019 \n\n  :-[]{},'\"#&*!|>%@`?~.=<$_\té→\u2028"
    chance = random.Random(seed)
    return "".join(chance.choice(signs) for _ in range(4_000)).encode()


def alias_bomb() -> bytes:
    """Ten times ten times … the same text: a billion of them, if each alias were written out."""
    lines = ['a0: &a0 ["lol", "lol", "lol", "lol", "lol", "lol", "lol", "lol", "lol", "lol"]']
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join(lines).encode()


def variables(lines: list[str]) -> bytes:
    return ("variables:\n" + "".join(f"  {line}\n" for line in lines) + GOOD + 'seed: "${v0}"\n').encode()


def doubled_texts() -> bytes:
    return variables([f'v{n}: "${{v{n + 1}}}${{v{n + 1}}}"' for n in range(60)] + ["v60: lol"])


def doubled_lists() -> bytes:
    return variables([f'v{n}: ["${{v{n + 1}}}", "${{v{n + 1}}}"]' for n in range(60)] + ["v60: lol"])


def chained_variables() -> bytes:
    return variables([f'v{n}: "${{v{n + 1}}}"' for n in range(LEVELS)] + [f"v{LEVELS}: lol"])


def ring_of_variables() -> bytes:
    return variables([f'v{n}: "${{v{(n + 1) % 1000}}}"' for n in range(1000)])


def nested_blocks() -> bytes:
    """As deep as a file of 2 MB can be with one key a line."""
    return "".join(f"{' ' * level}a:\n" for level in range(1_900)).encode()


CONTENTS: dict[str, Callable[[], bytes]] = {
    **{f"random bytes {seed}": (lambda seed=seed: random_bytes(seed)) for seed in range(5)},
    **{f"random text {seed}": (lambda seed=seed: random_text(seed)) for seed in range(5)},
    "lists in lists": lambda: b"[" * LEVELS,
    "lists in lists, closed": lambda: b"a: " + b"[" * LEVELS + b"]" * LEVELS,
    "mappings in mappings": lambda: b"{a: " * LEVELS,
    "mappings in mappings, closed": lambda: b"a: " + b"{a: " * LEVELS + b"1" + b"}" * LEVELS,
    "lists in lists, with dashes": lambda: b"a:\n  " + b"- " * LEVELS + b"1",
    "keys of keys": lambda: b"? " * LEVELS + b"1",
    "one key a line": nested_blocks,
    "deep inside a layer": lambda: with_line(
        "optimizer: {SGD: {learning_rate: " + "{a: " * LEVELS + "1" + "}" * LEVELS
    ),
    "alias bomb": alias_bomb,
    "alias of itself": lambda: b"a: &a [*a]",
    "50 MB of text": lambda: with_line("name: " + "a" * 50_000_000),
    "50 MB of lines": lambda: b"- a\n" * 12_500_000,
    "NUL bytes": lambda: bytes(10_000),
    "NUL in a text": lambda: with_line("name: iris\0"),
    "UTF-16 with a mark": lambda: ("\ufeff" + GOOD).encode("utf-16-le"),
    "UTF-16 without a mark": lambda: GOOD.encode("utf-16-le"),
    "UTF-16, the other way": lambda: ("\ufeff" + GOOD).encode("utf-16-be"),
    "UTF-32": lambda: GOOD.encode("utf-32"),
    "Latin-1": lambda: (GOOD + "name: Übung\n").encode("latin-1"),
    "half a character": lambda: (GOOD + "name: Ü").encode()[:-1],
    "a lone surrogate": lambda: GOOD.encode() + b"name: \xed\xa0\x80\n",
    "escape codes": lambda: with_line("name: \x1b[2J\x1b[31mred"),
    "tabs": lambda: GOOD.replace("  ", "\t").encode(),
    "nothing but tabs": lambda: b"\t" * 100_000,
    "nothing but newlines": lambda: b"\n" * 1_000_000,
    "nothing": lambda: b"",
    "a huge integer": lambda: with_line("seed: " + "9" * 1_000_000),
    "a huge hexadecimal integer": lambda: with_line("seed: 0x" + "f" * 1_000_000),
    "a huge octal integer": lambda: with_line("seed: 0o" + "7" * 1_000_000),
    "a huge integer as a key": lambda: with_line("9" * 1_000 + ": 1"),
    "a huge hexadecimal key": lambda: with_line("0x" + "f" * 1_000_000 + ": 1"),
    "a huge integer in a layer": lambda: with_line("optimizer: {SGD: {momentun: 0x" + "f" * 100_000 + "}}"),
    "a huge exponent": lambda: with_line("seed: 1e999999999"),
    "a very long line": lambda: with_line("name: " + "a b " * 400_000),
    "a very long line of a list": lambda: with_line("metrics: [" + "x, " * 9_000 + "x]"),
    "a very long key": lambda: with_line("a" * 100_000 + ": 1"),
    "a very long name of a layer": lambda: with_line("optimizer: " + "Adam" * 100_000),
    "many unknown keys": lambda: GOOD.encode() + b"".join(b"key%d: 1\n" % n for n in range(5_000)),
    "many unknown layers": lambda: b"model:\n  layers:\n" + b"".join(b"  - Dens%d\n" % n for n in range(5_000)),
    "many values": lambda: b"[" + b"1, " * 600_000 + b"1]",
    "texts of variables that double": doubled_texts,
    "lists of variables that double": doubled_lists,
    "a chain of variables": chained_variables,
    "a ring of variables": ring_of_variables,
    "uses of variables in each other": lambda: with_line("name: " + "${" * LEVELS + "}" * LEVELS),
    "many uses of variables": lambda: with_line("name: " + "${a}" * 100_000),
}


def write_content(folder: Path, content: bytes) -> Path:
    path = folder / "spec.yaml"
    path.write_bytes(content)
    return path


def extends(folder: Path, *names: str) -> Path:
    """Files that extend the next one each; the first is asked for."""
    for name, base in pairwise(names):
        if not (folder / name).exists():
            (folder / name).write_text(f"extends: {base}\n{GOOD if name == names[0] else ''}", encoding="utf-8")
    return folder / names[0]


def through_a_link(folder: Path) -> Path:
    path = extends(folder, "spec.yaml", "link.yaml")
    (folder / "link.yaml").symlink_to("spec.yaml")
    return path


def two_to_the_thirtieth(folder: Path) -> Path:
    """No ring, but each of thirty bases is as large as all below it by its aliases and variables."""
    for level in range(30):
        base = f"extends: base{level + 1}.yaml\n" if level < 29 else ""
        (folder / f"base{level}.yaml").write_text(
            f'{base}variables:\n  v{level}: ["${{v{level + 1}}}", "${{v{level + 1}}}"]\n', encoding="utf-8"
        )
    (folder / "spec.yaml").write_text(f'extends: base0.yaml\n{GOOD}metrics: "${{v0}}"\n', encoding="utf-8")
    return folder / "spec.yaml"


FILES: dict[str, Callable[[Path], Path]] = {
    "extends itself": lambda folder: extends(folder, "spec.yaml", "spec.yaml"),
    "extends itself in other words": lambda folder: extends(folder, "spec.yaml", "./../" + folder.name + "/spec.yaml"),
    "extends itself through a link": through_a_link,
    "a ring of three": lambda folder: extends(folder, "spec.yaml", "b.yaml", "c.yaml", "spec.yaml"),
    "a ring behind a tail": lambda folder: extends(folder, "spec.yaml", "b.yaml", "c.yaml", "b.yaml"),
    "a chain of 2,000 bases": lambda folder: extends(folder, *(f"base{n}.yaml" for n in range(2_000))),
    "bases that double": two_to_the_thirtieth,
    "extends a device": lambda folder: extends(folder, "spec.yaml", "/dev/zero"),
    "extends a folder": lambda folder: extends(folder, "spec.yaml", "."),
    "extends a very long name": lambda folder: extends(folder, "spec.yaml", "a" * 100_000),
    "extends a name with NUL": lambda folder: write_content(folder, b'extends: "a\\0b"\n' + GOOD.encode()),
    "a folder": lambda folder: folder,
    "a device": lambda folder: Path("/dev/zero"),
    "no file": lambda folder: folder / "none.yaml",
}


# What a process of its own is worth starting for; the rest is tried in that of the tests.
IN_A_NEW_PROCESS = (
    "random bytes 0", "random bytes 1", "random bytes 2", "random text 0", "lists in lists, closed",
    "mappings in mappings, closed", "lists in lists, with dashes", "one key a line", "alias bomb", "50 MB of text",
    "50 MB of lines", "NUL bytes", "UTF-16 with a mark", "UTF-16 without a mark", "tabs", "nothing", "a huge integer",
    "a huge hexadecimal integer", "a very long line", "many unknown layers", "texts of variables that double",
    "lists of variables that double", "a chain of variables", "extends itself", "a ring of three", "bases that double",
    "extends a device",
)  # fmt: skip


# Starts the command and waits for it. It is a process of its own because Linux counts what a process had before `exec`
# towards its peak, and that of the tests, with TensorFlow in it, is large.
RUNNER = """
import json, os, resource, subprocess, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
process = subprocess.Popen(sys.argv[2:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
said = process.stdout.read().decode("utf-8", errors="replace")
_, status, used = os.wait4(process.pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), said, used.ru_maxrss / 1024]))
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, what it said on both streams, and the most memory that it had."""

    code: int
    said: str
    megabytes: float


def check_in_new_process(path: Path) -> Ended:
    command = [sys.executable, "-m", "dlcli", "check", "--static", str(path)]
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, str(ADDRESS_SPACE), *command],
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    return Ended(*json.loads(done.stdout))


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return shipped_catalogue()


def hostile(case: str, folder: Path) -> Path:
    return write_content(folder, CONTENTS[case]()) if case in CONTENTS else FILES[case](folder)


@pytest.mark.parametrize(
    "case", some_of(IN_A_NEW_PROCESS, "random bytes 1", "alias bomb", "50 MB of lines", "UTF-16 with a mark")
)
def test_the_command_refuses_it(case: str, tmp_path: Path) -> None:
    ended = check_in_new_process(hostile(case, tmp_path))
    assert ended.code == 2, ended.said[-5_000:]
    assert_clear(ended.said)
    assert ended.megabytes < MOST_MEGABYTES


@pytest.mark.parametrize("case", [*CONTENTS, *FILES])
def test_it_is_refused_in_time(case: str, tmp_path: Path, catalogue: Catalogue) -> None:
    path = hostile(case, tmp_path)
    shares: list[float] = []
    # A virtual machine whose processor is taken away counts that time, too: the least of five is the file's own.
    while len(shares) < 5 and min(shares, default=1) >= 1:
        start = time.process_time()
        with pytest.raises(SpecError) as caught:
            load_spec(path, catalogue)
        seconds = time.process_time() - start
        shares.append(seconds / (MOST_SECONDS if seconds < MOST_SECONDS else seconds_here(MOST_SECONDS)))
    assert_clear("".join(text.plain for text in problems_text(caught.value.problems)))
    assert min(shares) < 1


def assert_clear(said: str) -> None:
    """A message for a person, and nothing of the file that a terminal takes for a command."""
    assert "error:" in said
    for word in ("Traceback", "fault of dlcli", "RecursionError", "MemoryError"):
        assert word not in said, said[-5_000:]
    assert len(said) < MOST_OUTPUT, said[:1_000]
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", said), repr(said[:1_000])


def test_the_limit_of_memory_is_measured(tmp_path: Path) -> None:
    """That the figure is the command's own: that of a good spec is small, and not nothing."""
    ended = check_in_new_process(write_content(tmp_path, GOOD.encode()))
    assert ended.code == 0, ended.said
    assert 20 < ended.megabytes < 200
