"""Following a download of Keras's: its progress bar, made for standard output, as short texts for any display."""

from __future__ import annotations

import io
import re
from collections.abc import Callable


class KerasProgress(io.TextIOBase):
    """Stands in for standard output while Keras downloads; tells every ten percent.

    Args:
        name: of what is downloaded.
        progressed: is told, as in "downloading mnist: 40%".
    """

    def __init__(self, name: str, progressed: Callable[[str], None]) -> None:
        self._name = name
        self._progressed = progressed
        self._tenths = 0

    def isatty(self) -> bool:
        """Keras 3.15.1 moves its bar only on a terminal."""
        return True

    def write(self, text: str) -> int:
        """Take a piece of the bar, such as `11493376/11490434 ━━━━ 0s 0us/step`."""
        found = re.search(r"(\d+)/(\d+)", text)
        if found and int(found[2]) > 0:
            tenths = min(10, 10 * int(found[1]) // int(found[2]))
            if tenths > self._tenths:
                self._tenths = tenths
                self._progressed(f"downloading {self._name}: {10 * tenths}%")
        return len(text)
