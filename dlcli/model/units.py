"""Sizes as people write them."""

from __future__ import annotations

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def readable_bytes(size: float) -> str:
    """A size in the binary unit that fits, with three digits: "640 bytes", "1.67 MiB"."""
    power = 0
    while size >= 1024 and power < len(_UNITS) - 1:
        size /= 1024
        power += 1
    return f"{size:.3g} {_UNITS[power]}" if size < 1000 else f"{size:,.0f} {_UNITS[power]}"
