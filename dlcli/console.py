"""What dlcli shows, and where: results on standard output; messages, progress and errors on standard error.

While TensorFlow works, file descriptor 2 belongs to a log file, since its C++ parts write there past Python; what dlcli
itself has to say goes to a copy of the real standard error. Nothing else in dlcli writes to either stream.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from dlcli.files import writing_failed

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from dlcli.errors import DlcliError, Problem


_READ_ON_WHITE = {"progress.percentage": "none", "progress.remaining": "none"}
"""styles of rich's that are no colours of a dark terminal alone"""
_NOTEBOOK = "JPY_PARENT_PID"  # Jupyter gives it to its kernels, and they to what they start


class Screen:
    """The two streams of one command."""

    def __init__(self) -> None:
        self._out_file = sys.stdout
        self._error_file = sys.stderr
        self._chatter: TextIO | None = None
        self._log_path: Path | None = None
        self._temporary_log: Path | None = None
        self._real: int | None = None
        self._consoles: dict[str, Console] = {}
        self.trusts_code = False
        """whether a person has said that files of code may be run"""

    @property
    def out(self) -> Console:
        """For results: standard output."""
        return self._console("out", self._out_file)

    @property
    def err(self) -> Console:
        """For messages and progress: standard error, the real one."""
        return self._console("err", self._error_file)

    def _console(self, name: str, file: Any) -> Console:
        from rich.console import Console
        from rich.theme import Theme

        if name not in self._consoles:
            # Left alone, rich would turn `:100:` into a picture, and end the process if the reader of a pipe has gone.
            console = Console(
                file=file, highlight=False, emoji=False, soft_wrap=not file.isatty(), theme=Theme(_READ_ON_WHITE)
            )
            console.on_broken_pipe = lambda: setattr(console, "quiet", True)  # type: ignore[method-assign]
            self._consoles[name] = console
        return self._consoles[name]

    @property
    def log_path(self) -> Path | None:
        """The file that keeps the chatter of other libraries; None before `divert`."""
        return self._log_path

    def divert(self) -> Path:
        """From now on, what other libraries write to file descriptor 2 goes to a log file; returns its path."""
        gc.enable()  # the long work starts
        if self._log_path is None:
            import tempfile

            handle, name = tempfile.mkstemp(prefix="dlcli-", suffix=".log")
            sys.stderr.flush()
            try:
                self._real = os.dup(2)
            except OSError:
                self._real = os.open(os.devnull, os.O_WRONLY)  # started with standard error closed
            os.dup2(handle, 2)
            # Callbacks of Keras's print to Python's standard output, which is for results.
            self._chatter = sys.stdout = os.fdopen(handle, "w", encoding="utf-8", errors="replace", buffering=1)
            self._error_file = os.fdopen(os.dup(self._real), "w", encoding="utf-8", errors="replace", buffering=1)
            self._consoles.pop("err", None)
            self._log_path = self._temporary_log = Path(name)
        return self._log_path

    def keep_log(self, path: Path) -> None:
        """From now on the chatter goes to `path`; what there is already is copied to it, unless it is kept already."""
        if self._log_path is None or self._chatter is None:
            return
        sys.stderr.flush()
        self._chatter.flush()
        try:
            with path.open("ab") as file:
                if self._log_path == self._temporary_log:  # else it belongs to an earlier run
                    file.write(self._log_path.read_bytes())
                file.flush()
                os.dup2(file.fileno(), 2)
                os.dup2(file.fileno(), self._chatter.fileno())
        except OSError as error:
            raise writing_failed(path, error) from error
        self._log_path = path

    def restore(self) -> None:
        """Gives file descriptor 2 back, and removes the log file that was not kept."""
        if self._real is not None:
            with suppress(OSError):  # the log's disk may be full, or the reader of the pipe gone
                sys.stderr.flush()
            for file in (self._chatter, self._error_file):
                with suppress(OSError):
                    file.close() if file else None
            sys.stdout = self._out_file
            self._error_file = sys.stderr
            self._consoles.clear()
            os.dup2(self._real, 2)
            os.close(self._real)
            self._real = None
        if self._temporary_log is not None:
            self._temporary_log.unlink(missing_ok=True)

    def error(self, error: DlcliError) -> None:
        """Shows an error: what is wrong, then what to do about it; unless another process does."""
        from dlcli.errors import SpecError

        if error.is_told:
            return
        if isinstance(error, SpecError):
            self.problems(error.problems)
            return
        told = self._wrapped(f"error: {error.message}")
        self._line(f"[bold red]error:[/]{_escaped(told.removeprefix('error:'))}")
        if error.hint:
            self._line(f"\n{_escaped(self._wrapped(f'  {error.hint}', '  '))}")

    def problems(self, problems: Sequence[Problem]) -> None:
        """Shows mistakes and warnings on standard error, and how many they are."""
        from dlcli.problem_text import counted, problems_text

        for text in problems_text(problems, self.wrap_width):
            self.err.print(text)
        if len(problems) > 1:
            self._line(f"[bold]{_escaped(counted(problems))}.[/]")

    @property
    def wrap_width(self) -> int | None:
        """Where long lines are to be broken; None where they are read by a program or kept in a log."""
        return None if self.err.soft_wrap else self.err.width

    @property
    def table_width(self) -> int | None:
        """How wide a table of results may be; None where a program reads it, or a file keeps it."""
        return self.out.width if self._out_file.isatty() else None

    @property
    def can_redraw(self) -> bool:
        """Whether bars may move on standard error: a terminal whose cursor goes where it is told.

        A log has none, even where `FORCE_COLOR` asks for colours; nor has what `!dlcli` in a notebook writes to, though
        that says that it is a terminal.
        """
        return self._error_file.isatty() and self.err.is_interactive and _NOTEBOOK not in os.environ

    def message(self, text: str) -> None:
        """A line of progress."""
        # It may show bars, above which the line goes.
        if "err" in self._consoles or self._error_file.isatty() or not text.isprintable():
            self._line(_escaped(self._wrapped(text)))
        else:
            _write_line(self._error_file, text)

    def passed_on(self, text: str) -> None:
        """Lines of another process, as they are."""
        _write_line(self._error_file, text)

    def panel(self, title: str, lines: Iterable[str], style: str = "dark_orange3") -> None:
        """A message that must not be overlooked."""
        from rich.panel import Panel

        content = "\n".join(_escaped(line) for line in lines)
        # A pipe's lines are not wrapped, but those of a panel are: it would cut them off.
        self.err.print(Panel(content, title=title, border_style=style, expand=False), soft_wrap=False)

    def show(self, renderable: RenderableType) -> None:
        """A result."""
        self.out.print(renderable)

    def line(self, text: str) -> None:
        """A result of one line, without style."""
        if not text.isprintable():
            self.out.print(text, markup=False, soft_wrap=True)
            return
        _write_line(self._out_file, text)

    def lines(self, lines: Iterable[Sequence[tuple[str, str]]]) -> None:
        """Results of many lines, each of texts with their styles: rich alone takes milliseconds for each."""
        render = self._styled() if self._out_file.isatty() else lambda text, style: text
        with suppress(BrokenPipeError):
            for line in lines:
                shown = (render(text if text.isprintable() else _printable(text), style) for text, style in line)
                self._out_file.write(f"{''.join(shown)}\n")
            self._out_file.flush()

    def _styled(self) -> Callable[[str, str], str]:
        from rich.console import COLOR_SYSTEMS
        from rich.style import Style

        system = COLOR_SYSTEMS.get(self.out.color_system or "") if not self.out.no_color else None
        if system is None:
            return lambda text, style: text
        return lambda text, style: Style.parse(style).render(text, color_system=system) if style else text

    def _wrapped(self, text: str, indent: str = "") -> str:
        """Lines broken between words where a terminal has no more room, but not within a command that one may copy."""
        width = self.wrap_width
        return text if width is None else wrapped(text, width, indent)

    def _line(self, text: str) -> None:
        self.err.print(text, soft_wrap=True)


def wrapped(text: str, width: int, indent: str = "") -> str:
    """Lines broken between words where they are longer, but not within backquotes; all but the first with an indent."""
    if all(len(line) <= width for line in text.split("\n")):
        return text
    import re
    import textwrap

    kept = re.sub(r"`[^`\n]*`", lambda quoted: quoted.group().replace(" ", "\0"), text)
    wrapper = textwrap.TextWrapper(
        max(20, width), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join("\n".join(wrapper.wrap(line)) for line in kept.split("\n")).replace("\0", " ")


def _write_line(file: TextIO, text: str) -> None:
    """Without rich, which would print the same and takes longer to load than a spec to check."""
    with suppress(BrokenPipeError):
        file.write(f"{text}\n")
        file.flush()


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _printable(text: str) -> str:
    """`text` with a `�` for each character that would do something to a terminal."""
    return "".join(character if character.isprintable() else "�" for character in text)
