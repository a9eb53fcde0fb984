"""`python -m tests.benchmarks images`: how fast folders of JPEG files become examples."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tests.benchmarks.turns import Contender, compare, take_turns

_COLUMNS = (
    "files", "brought to", "", "ms an image", "of the processors", "dlcli is × as fast", "least to most",
    "by processor time", "least to most",
)  # fmt: skip


@dataclass(frozen=True)
class Folder:
    """So many images of a size, and the size that they are brought to; height and width."""

    count: int
    stored: tuple[int, int]
    wanted: tuple[int, int]


_FOLDERS = (
    Folder(5000, (32, 32), (32, 32)),
    Folder(200, (375, 500), (128, 128)),
    Folder(200, (375, 500), (375, 500)),
    Folder(32, (1536, 2048), (224, 224)),
)


def _write_photos(root: Path, folder: Folder) -> None:
    """Like photographs in what a JPEG decoder has to do: clouds of all sizes, edges, and noise; of quality 90."""
    height, width = folder.stored
    generator = np.random.default_rng(0)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]  # type: ignore[misc]
    for number in range(folder.count):
        pixels = np.full((height, width, 3), 120.0)
        for power in range(1, 9):
            small = generator.normal(size=(max(2, height * 2**power // 512), max(2, width * 2**power // 512)))
            grown = Image.fromarray(small.astype("float32")).resize((width, height), Image.Resampling.BICUBIC)
            pixels += np.asarray(grown)[..., None] * generator.normal(1, 0.2, 3) * 60 / 2 ** (0.8 * power)
        for a, b, c in generator.normal(size=(12, 3)):
            pixels[a * (x - 0.5) + b * (y - 0.5) + 0.3 * c > 0.3] += generator.normal(size=3) * 20
        pixels += generator.normal(size=(height, width, 1)) * 5 + generator.normal(size=(height, width, 3)) * 2
        path = root / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.clip(pixels, 0, 255).astype("uint8")).save(path, quality=90)


def main(rounds: int = 7) -> None:
    """Time dlcli and a tf.data pipeline by turns."""
    print(f"| {' | '.join(_COLUMNS)} |")
    print("|---" * len(_COLUMNS) + "|")
    for folder in _FOLDERS:
        with tempfile.TemporaryDirectory() as place:
            root = Path(place)
            if folder.stored == (32, 32):
                root = Path(os.environ["DLCLI_DATA_DIR"]) / "cifar10" / "train"
            else:
                _write_photos(root, folder)
            sizes = [str(root), *map(str, folder.wanted)]
            ways = [
                Contender(way, [sys.executable, "-m", "tests.benchmarks.read_images", way, *sizes], {})
                for way in ("dlcli", "plain Keras")
            ]
            take_turns(ways, rounds)
        by_time, by_work = compare(ways), compare(ways, "processor_seconds")
        for time, work in zip(by_time, by_work, strict=True):
            figures = [
                "×".join(map(str, folder.stored)), "×".join(map(str, folder.wanted)), time.name,
                f"{time.milliseconds:.3g}", f"{work.milliseconds:.3g}", f"{time.ratio:.2f}",
                f"{time.least:.2f} to {time.most:.2f}", f"{work.ratio:.2f}", f"{work.least:.2f} to {work.most:.2f}",
            ]  # fmt: skip
            print(f"| {' | '.join(figures)} |", flush=True)
