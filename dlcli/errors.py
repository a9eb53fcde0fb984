"""Every exception that dlcli raises on purpose, and the exit code that each one leads to.

    DlcliError                 1   a fault of dlcli's own
    ├── UsageError             2   the command line asks for something that cannot be done
    │   └── SpecError          2   the YAML file has mistakes: one or more Problems
    ├── DataError              3   data that is missing, unreachable or not what it should be
    ├── RunError               4   a run folder that cannot be made, read or written
    │   ├── CheckpointError    4   a checkpoint that is missing, damaged or does not fit
    │   └── DivergedError      4   a training whose loss became no number
    ├── DeviceError            5   a device that was asked for and is not there
    ├── ProcessError         its   a process that dlcli has started failed, with an exit code of its own
    └── Interrupted    130 / 143   stopped by SIGINT or SIGTERM, the work saved

Errors of other libraries are translated where they are met; nothing here imports anything of dlcli's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

Path = tuple[str | int, ...]


class DlcliError(Exception):
    """The base of dlcli's errors.

    Args:
        message: what is wrong, where, and what was received; whole sentences.
        hint: what to do about it; shown on a line of its own.

    Attributes:
        is_told: whether another process tells it, and this one only ends.
    """

    exit_code = 1
    is_told = False

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(DlcliError):
    """The command line asks for something that cannot be done."""

    exit_code = 2


@dataclass(frozen=True)
class Position:
    """A place in a file, or in an option of the command line, which has no lines: its line is 0. Both count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True)
class Problem:
    """One mistake in a spec, or one warning: what is wrong, at which path of the document, and what to do.

    Attributes:
        message: what is wrong and what was received; whole sentences.
        path: where, as keys and item numbers from the top of the document.
        hint: what to do; None where the message says it all.
        at_key: whether the key at the path is wrong, rather than its value.
        position: the place in a file, or in an option of the command line.
        source_line: the line at that place.
        trail: how it came about, a line each, such as the shapes of the layers before.
        code: the name of the warning, which `silence` in a spec takes; None for a mistake.
    """

    message: str
    path: Path = ()
    hint: str | None = None
    at_key: bool = False
    position: Position | None = None
    source_line: str | None = field(default=None, repr=False)
    trail: tuple[str, ...] = ()
    code: str | None = None


class SpecError(UsageError):
    """The spec has mistakes; all that were found are in `problems`, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(problem.message for problem in problems))
        self.problems = tuple(problems)


class DataError(DlcliError):
    """Data is missing, unreachable, or not what it should be.

    Args:
        message: what is wrong.
        hint: what to do.
        place: the keys below the source in a spec, such as `target`, where what does not fit the data is written.
    """

    exit_code = 3

    def __init__(self, message: str, hint: str | None = None, place: Path = ()) -> None:
        super().__init__(message, hint)
        self.place = place


class RunError(DlcliError):
    """A run folder cannot be made, read or written."""

    exit_code = 4


class CheckpointError(RunError):
    """A checkpoint is missing, damaged, or does not fit what it is used for."""


class DivergedError(RunError):
    """The loss of a training became no number; others may still be trained."""


class DeviceError(DlcliError):
    """A device was asked for and is not there."""

    exit_code = 5


class ProcessError(DlcliError):
    """A process that dlcli has started failed as a command does; its exit code is this one's."""

    def __init__(self, message: str, exit_code: int, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.exit_code = exit_code


class Interrupted(DlcliError):
    """Training was stopped by a signal; what was trained is saved."""

    def __init__(self, message: str, *, signal_number: int, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.exit_code = 128 + signal_number
