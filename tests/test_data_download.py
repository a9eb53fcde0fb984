"""Keras's own progress bar is followed, not guessed at."""

from __future__ import annotations

from contextlib import redirect_stdout

from dlcli.data.download import KerasProgress


def test_keras_s_bar_becomes_tens_of_percent() -> None:
    from keras.utils import Progbar

    told: list[str] = []
    with redirect_stdout(KerasProgress("mnist", told.append)):
        bar = Progbar(11_490_434)
        for done in range(0, 11_490_434, 1_000_000):
            bar.update(done)
            bar._last_update = 0  # Keras shows at most twenty a second
        bar.update(11_490_434, finalize=True)
    assert told[0] == "downloading mnist: 10%"
    assert told[-1] == "downloading mnist: 100%"
    assert len(told) >= 8
