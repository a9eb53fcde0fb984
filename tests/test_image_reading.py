"""Pictures are read in threads: each once, and what goes wrong first is told."""

from __future__ import annotations

import time

import pytest

from dlcli.data import image_reading
from dlcli.data.image_reading import in_parts


@pytest.mark.parametrize("tiny", [0.0, 1e9])
def test_all_are_done_once_in_one_thread_or_in_several(tiny: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_reading, "_TINY", tiny)
    monkeypatch.setattr(image_reading, "cores", lambda: 3)
    done: list[int] = []
    for _ in in_parts(500, lambda start, end: done.extend(range(start, end))):
        pass
    assert sorted(done) == list(range(500))


def test_the_first_error_is_raised_and_nothing_is_begun_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_reading, "_TINY", 0.0)
    failed: list[int] = []

    def fail_from_40_on(start: int, end: int) -> None:
        time.sleep(0.0005)
        if end > 40:
            failed.append(start)
            raise ValueError(start)

    with pytest.raises(ValueError, match=r"\d") as told:
        for _ in in_parts(100_000, fail_from_40_on):
            pass
    assert told.value.args == (min(failed),)
    assert max(failed) < 10_000
