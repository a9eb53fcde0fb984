"""The exception tree with its exit codes, and files that are whole or as they were."""

from __future__ import annotations

import errno
import json
import math
import os
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from dlcli.errors import (
    CheckpointError,
    DataError,
    DeviceError,
    DlcliError,
    Interrupted,
    Position,
    Problem,
    ProcessError,
    RunError,
    SpecError,
    UsageError,
)
from dlcli.files import replacing, write_json, write_text, writing_failed


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "parent", "exit_code"),
        [
            (DlcliError, Exception, 1),
            (UsageError, DlcliError, 2),
            (SpecError, UsageError, 2),
            (DataError, DlcliError, 3),
            (RunError, DlcliError, 4),
            (CheckpointError, RunError, 4),
            (DeviceError, DlcliError, 5),
            (ProcessError, DlcliError, None),
            (Interrupted, DlcliError, None),
        ],
    )
    def test_tree(self, error: type[DlcliError], parent: type[Exception], exit_code: int | None) -> None:
        assert error.__bases__ == (parent,)
        assert exit_code is None or error.exit_code == exit_code

    @pytest.mark.parametrize(("signal_number", "exit_code"), [(2, 130), (15, 143)])
    def test_interrupted_has_the_exit_code_of_its_signal(self, signal_number: int, exit_code: int) -> None:
        error = Interrupted("Stopped.", signal_number=signal_number, hint="Go on.")
        assert error.exit_code == exit_code
        assert (error.message, error.hint) == ("Stopped.", "Go on.")

    def test_message_and_hint(self) -> None:
        error = DataError("There is no data.", "Get some.")
        assert str(error) == error.message == "There is no data."
        assert error.hint == "Get some."
        assert DataError("There is no data.").hint is None

    def test_spec_error_says_every_problem(self) -> None:
        error = SpecError([Problem("First."), Problem("Second.")])
        assert str(error) == "First.\nSecond."
        assert [problem.message for problem in error.problems] == ["First.", "Second."]

    def test_position_as_editors_write_it(self) -> None:
        assert str(Position("a/b.yaml", 3, 7)) == "a/b.yaml:3:7"

    def test_a_problem_does_not_change(self) -> None:
        problem: Any = Problem("First.")
        with pytest.raises(FrozenInstanceError):
            problem.message = "Second."


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that is already there."""
    path = tmp_path / "result.json"
    path.write_text("old")
    return path


def assert_as_before(path: Path) -> None:
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


class TestReplacing:
    def test_the_new_content_stands_in_place_of_the_old(self, path: Path) -> None:
        with replacing(path) as beside:
            beside.write_text("new")
            assert path.read_text() == "old"
            assert beside.parent == path.parent  # renaming is whole only within one file system
            assert beside.suffix == path.suffix  # Keras tells the format by it
        assert path.read_text() == "new"
        assert list(path.parent.iterdir()) == [path]

    def test_makes_a_file_that_was_not_there(self, tmp_path: Path) -> None:
        with replacing(tmp_path / "new.txt") as beside:
            beside.write_text("new")
        assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("new.txt", "new")]

    def test_is_on_the_disk_before_it_has_its_name(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        steps: list[str] = []
        for owner, name in ((os, "fsync"), (Path, "replace")):
            original = getattr(owner, name)
            recorded = lambda *args, _do=original, _name=name: (steps.append(_name), _do(*args))[1]  # noqa: E731
            monkeypatch.setattr(owner, name, recorded)
        write_text(path, "new")
        assert steps == ["fsync", "replace"]

    @pytest.mark.parametrize("error", [ValueError("wrong"), KeyboardInterrupt(), SystemExit(3)])
    def test_a_failure_inside_goes_on_as_it_is(self, path: Path, error: BaseException) -> None:
        def fail() -> None:
            with replacing(path) as beside:
                beside.write_text("half")
                raise error

        with pytest.raises(type(error)) as caught:
            fail()
        assert caught.value is error
        assert_as_before(path)

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
    @pytest.mark.parametrize("where", ["os.fsync", "pathlib.Path.replace"])
    def test_a_write_error_is_a_run_error(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, number: int, where: str
    ) -> None:
        def fail(*_: Any) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(where, fail)
        with pytest.raises(RunError) as caught:
            write_text(path, "new")
        monkeypatch.undo()
        assert str(path) in caught.value.message
        assert isinstance(caught.value.__cause__, OSError)
        assert_as_before(path)

    def test_an_error_while_writing(self, path: Path) -> None:
        def fail() -> None:
            with replacing(path) as beside:
                beside.write_text("half")
                raise OSError(errno.ENOSPC, "No space left on device")

        with pytest.raises(RunError, match=r"the disk is full"):
            fail()
        assert_as_before(path)

    def test_nothing_written(self, path: Path) -> None:
        def forget() -> None:
            with replacing(path):
                pass

        with pytest.raises(RunError, match=r"No such file"):
            forget()
        assert_as_before(path)

    def test_below_a_file(self, path: Path) -> None:
        with pytest.raises(RunError) as caught:
            write_text(path / "below.txt", "new")
        assert caught.value.message == f"Cannot write {path / 'below.txt'}: Not a directory."
        assert_as_before(path)

    def test_no_such_folder(self, tmp_path: Path) -> None:
        with pytest.raises(RunError, match=r"No such file or directory"):
            write_text(tmp_path / "nowhere" / "new.txt", "new")
        assert not list(tmp_path.iterdir())

    def test_in_place_of_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        with pytest.raises(RunError, match=r"folder: Is a directory"):
            write_text(tmp_path / "folder", "new")
        assert [found.name for found in tmp_path.iterdir()] == ["folder"]


class TestWriting:
    def test_text_is_utf_8(self, tmp_path: Path) -> None:
        write_text(tmp_path / "a.txt", "é – ü\n")
        assert (tmp_path / "a.txt").read_bytes() == "é – ü\n".encode()

    def test_json_is_indented_readable_and_ends_its_line(self, tmp_path: Path) -> None:
        write_json(tmp_path / "a.json", {"name": "é", "values": [1]})
        text = (tmp_path / "a.json").read_text(encoding="utf-8")
        assert text == '{\n  "name": "é",\n  "values": [\n    1\n  ]\n}\n'
        assert json.loads(text) == {"name": "é", "values": [1]}

    def test_json_has_no_nan_and_no_infinity(self, tmp_path: Path) -> None:
        write_json(tmp_path / "a.json", {"loss": math.nan, "rows": [(math.inf, -math.inf, 0.5)]})
        text = (tmp_path / "a.json").read_text(encoding="utf-8")
        assert json.loads(text, parse_constant=pytest.fail) == {"loss": None, "rows": [[None, None, 0.5]]}

    def test_what_is_no_json_leaves_the_old_file(self, path: Path) -> None:
        with pytest.raises(TypeError):
            write_json(path, {"a": object()})
        assert_as_before(path)


class TestWritingFailed:
    def test_full_disk(self) -> None:
        error = writing_failed(Path("a.h5"), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        assert error.message == "Cannot write a.h5: the disk is full."
        assert "--runs-dir" in str(error.hint)

    def test_full_disk_as_h5py_says_it(self) -> None:
        error = writing_failed(Path("a.h5"), OSError("Unable to write (errno = 28, 'No space left on device')"))
        assert error.message == "Cannot write a.h5: the disk is full."

    @pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
    def test_no_permission(self, number: int) -> None:
        error = writing_failed(Path("a.h5"), OSError(number, os.strerror(number)))
        assert error.message == f"Cannot write a.h5: {os.strerror(number)}."
        assert "permissions" in str(error.hint)
        assert error.exit_code == 4

    def test_anything_else_has_its_reason(self) -> None:
        assert writing_failed(Path("a.h5"), OSError("odd")).message == "Cannot write a.h5: odd."
