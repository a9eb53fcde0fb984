"""What a command loads: `dlcli check --static` and `--help` start fast since they load only what they use."""

from __future__ import annotations

import gc
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from dlcli.cli import displays
from dlcli.cli.app import COMMANDS
from dlcli.console import Screen
from dlcli.errors import RunError
from dlcli.training.listening import EpochEnd

from .conftest import CONFIGS, Command

HEAVY = {"tensorflow", "keras", "numpy", "h5py", "sklearn", "scipy", "pandas", "matplotlib", "PIL", "jinja2", "optuna"}
LOOK = """
import json, sys
from dlcli.cli import main
try:
    main()
except SystemExit:
    pass
sources = sys.modules.get("dlcli.spec.sources")
built = [name for name, source in sources.SOURCES.items() if source.__pydantic_complete__] if sources else []
print(json.dumps({"modules": sorted(sys.modules), "built": built}))
"""


def started(*arguments: object) -> dict[str, Any]:
    """Which modules a command loaded, as its own process, and which sources of data it looked at."""
    command = [sys.executable, "-c", LOOK, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("as_json", [False, True])
def test_a_check_loads_only_what_it_uses(as_json: bool) -> None:
    found = started("check", "--static", CONFIGS / "mnist_cnn.yaml", *(["--json"] if as_json else []))
    modules = set(found["modules"])
    assert {f"dlcli.cli.{name}" for name in COMMANDS} & modules == {"dlcli.cli.check"}
    assert not {name for name in modules if name.split(".")[0] in {*HEAVY, "rich"}}
    assert not {name for name in modules if name.startswith(("dlcli.model", "dlcli.training", "dlcli.data."))}
    assert found["built"] == ["mnist", "digits"]  # its source, and its fallback


def test_what_a_notebook_says_of_matplotlib_is_not_heeded() -> None:
    code = "from dlcli.cli import main\ntry:\n    main()\nexcept SystemExit:\n    import matplotlib.figure"
    environment = {**os.environ, "MPLBACKEND": "one_of_another_environment"}
    command = [sys.executable, "-c", code, "--version"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr


def test_the_help_loads_no_grammar() -> None:
    modules = started("--help")["modules"]
    assert not {name for name in modules if name.split(".")[0] in {*HEAVY, "pydantic", "pydantic_core", "yaml"}}
    assert not {name for name in modules if name.startswith("dlcli.spec")}


def test_every_command_is_in_the_help_and_close_to_what_is_misspelt(dlcli: Command) -> None:
    shown = dlcli("--help").out
    assert [name for name in COMMANDS if f"│ {name} " not in shown] == []
    assert [name for name in COMMANDS if f"Did you mean '{name}'" not in dlcli(f"{name}s").err] == []


def test_garbage_is_collected_where_work_is_long() -> None:
    code = "import gc, runpy, sys; sys.argv = ['dlcli', '--version']\n"
    code += "try:\n    runpy.run_module('dlcli', run_name='__main__')\nexcept SystemExit:\n    print(gc.isenabled())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
    was_enabled = gc.isenabled()
    screen = Screen()
    try:
        gc.disable()
        screen.divert()
        assert gc.isenabled()
    finally:
        screen.restore()
        gc.enable() if was_enabled else gc.disable()


@pytest.mark.parametrize("name", ["plain.yaml", "a b\tc.yaml", "ünïcode 🎈.yaml", "[bold]x[/].yaml"])
def test_a_line_is_as_rich_would_print_it(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    screen.line(f"{name}: no mistakes")
    plain = capfd.readouterr().out
    screen.out.print(f"{name}: no mistakes", markup=False, soft_wrap=True)
    assert plain == capfd.readouterr().out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("file", "environment", "expected"),
    [
        (Terminal, {"TERM": "xterm-256color"}, True), (Terminal, {"TERM": "dumb"}, False),
        (Terminal, {"TERM": "xterm-color", "JPY_PARENT_PID": "77"}, False),  # `!dlcli` in a notebook
        (io.StringIO, {"TERM": "xterm-256color", "FORCE_COLOR": "1"}, False),  # a log of CI
    ],
)  # fmt: skip
def test_bars_move_where_the_cursor_does(
    file: type[io.StringIO], environment: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    screen = Screen()
    monkeypatch.setattr(screen, "_error_file", file())
    assert screen.can_redraw is expected


@pytest.mark.parametrize(
    ("epochs", "done", "seconds", "expected"),
    [
        (30, 30, 0.0, range(1, 31)),
        (1500, 1500, 0.0, [*range(1, 1500, 8), 1500]),
        (1500, 20, 0.0, [1, 9, 17, 20]),  # it was stopped
        (1500, 20, 60.0, range(1, 21)),  # an epoch takes a minute
    ],
)
def test_of_many_short_epochs_a_log_keeps_some_and_the_last(
    epochs: int, done: int, seconds: float, expected: Iterable[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    screen = SimpleNamespace(message=lines.append, wrap_width=80)
    display = displays.PlainDisplay(screen)  # type: ignore[arg-type]
    display.start = SimpleNamespace(epochs=epochs, monitor="loss")  # type: ignore[assignment]
    clock = count(1e6, seconds)
    monkeypatch.setattr(displays.time, "monotonic", lambda: next(clock))
    for epoch in range(1, done + 1):
        display.epoch_ended(EpochEnd(epoch, {"epoch": epoch, "loss": 0.5}, seconds, False))
    display.close()
    header, *rows = lines
    assert [int(row.split("/")[0]) for row in rows] == list(expected)
    assert {len(row) for row in rows} == {len(header)}


def test_messages_break_between_words_and_not_in_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "Everything up to there is saved; `dlcli train --resume runs/net/one` goes on from there, [bold]as it was[/]."
    )
    screen = Screen()
    for name, value in (("COLUMNS", "44"), ("TERM", "xterm"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(screen, "_error_file", Terminal())
    screen.message(text)
    screen.error(RunError(text, text))
    shown = re.sub(r"\x1b\[[0-9;]*m", "", screen._error_file.getvalue())  # no colours, but bold
    assert shown.startswith(
        "Everything up to there is saved;\n`dlcli train --resume runs/net/one` goes on\nfrom there, [bold]"
    )
    assert "\n\n  Everything up to there is saved;\n  `dlcli train --resume runs/net/one` goes\n  on" in shown
    assert max(map(len, shown.splitlines())) <= 44
    kept = io.StringIO()
    screen = Screen()
    monkeypatch.setattr(screen, "_error_file", kept)
    screen.message(text)
    assert kept.getvalue() == f"{text}\n"  # a log's lines are whole


def test_a_line_for_a_reader_that_has_gone_is_no_fault() -> None:
    command = f"{sys.executable} -m dlcli check --static {CONFIGS / 'iris.yaml'} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr
    assert "fault" not in done.stderr
