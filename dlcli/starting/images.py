"""A look at a folder of images, with a folder for each class, and the spec for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from dlcli.errors import DataError, UsageError
from dlcli.spec.writing import to_flow
from dlcli.starting.folders import classes_in_words, held_out, splits_lines, to_beat
from dlcli.starting.lines import beside, table, wrapped
from dlcli.starting.networks import class_output, learning, training
from dlcli.starting.plans import Plan

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
_LOOKED_AT = 200  # images whose size is read
_LARGEST = 128  # pixels: beyond, a small network hardly gains and takes long
_SMALLEST = 8
_LAST = 6  # pixels that are left after the last pooling, or a few more
_STEPS = 6_000


@dataclass(frozen=True)
class ImageFacts:
    """A folder of images, looked at.

    Attributes:
        folder: where they are.
        classes: with the numbers of images to train on, or to hold some out of.
        tests: how many are in the test set of its own.
        sizes: heights and widths of some of them, shape (n, 2).
        is_grey: whether these have no colours.
    """

    folder: Path
    classes: tuple[tuple[str, int], ...]
    tests: int
    sizes: np.ndarray[tuple[int, int], np.dtype[np.int64]]
    is_grey: bool

    @property
    def count(self) -> int:
        """How many images are not of the test set."""
        return sum(count for _, count in self.classes)

    @property
    def size(self) -> tuple[int, int]:
        """The height and width that a spec asks for."""
        return usual_size(self.sizes)

    @property
    def are_signs(self) -> bool:
        """Whether the classes are letters or digits, which mean something else the other way round."""
        return all(len(name) == 1 or name.isdigit() for name, _ in self.classes)


def usual_size(sizes: np.ndarray[Any, Any], largest: int = _LARGEST) -> tuple[int, int]:
    """The height and width that most have, of these of shape (n, 2); of at most so many pixels."""
    height, width = (float(one) for one in np.median(sizes, axis=0))
    shrunk = min(1.0, largest / max(height, width))
    if shrunk == 1.0:
        return max(_SMALLEST, round(height)), max(_SMALLEST, round(width))
    return _multiple_of_8(height * shrunk), _multiple_of_8(width * shrunk)


def _multiple_of_8(pixels: float) -> int:
    return max(_SMALLEST, 8 * round(pixels / 8))


def look_at_images(folder: Path) -> ImageFacts:
    """What is in a folder of images.

    Raises:
        UsageError: it has no folders with images.
        DataError: an image cannot be read.
    """
    has_test_set = (folder / "train").is_dir() and (folder / "test").is_dir()
    files = _files_by_class(folder / "train" if has_test_set else folder)
    tests = _files_by_class(folder / "test") if has_test_set else {}
    if len(files) < 2:
        found = "no folder with images" if not files else f"one class alone, {next(iter(files))}"
        hint = "There is a folder for each class, with images in it: FOLDER/cat/1.jpg, FOLDER/dog/1.jpg …"
        raise UsageError(f"{folder} has {found}.", hint)
    every = [file for some in files.values() for file in some]
    looked = [_opened(file) for file in every[:: max(1, len(every) // _LOOKED_AT)]]
    return ImageFacts(
        folder,
        tuple((name, len(some)) for name, some in files.items()),
        sum(map(len, tests.values())),
        np.asarray([(height, width) for height, width, _ in looked], np.int64),
        all(is_grey for _, _, is_grey in looked),
    )


def _files_by_class(folder: Path) -> dict[str, list[Path]]:
    found = {}
    for place in sorted(folder.iterdir()):
        if place.is_dir() and not place.name.startswith("."):
            files = sorted(one for one in place.iterdir() if one.suffix.lower() in SUFFIXES)
            if files:
                found[place.name] = files
    return found


def _opened(file: Path) -> tuple[int, int, bool]:
    try:
        with Image.open(file) as image:
            return image.height, image.width, image.mode in ("1", "L", "I", "I;16", "F")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{file} cannot be read as an image: {str(error).splitlines()[0]}.", "Replace or remove it."
        ) from error


def image_spec(facts: ImageFacts, path: str, name: str, command: str) -> str:
    """The text of a spec; `path` is how it names the folder, `command` how it was asked for."""
    holding = held_out(facts.classes, has_test_set=bool(facts.tests))
    height, width = facts.size
    plan = plan_for_images(len(holding.train))
    source = f"    images: {to_flow({'path': path, 'size': [height, width]})}"
    lines = [
        *_seen(facts, command),
        "",
        f"name: {to_flow(name)}",
        "seed: 0",
        "",
        "dataset:",
        "  source:",
        source,
        *splits_lines(holding, "images", has_test_set=bool(facts.tests)),
        *_augmentation(facts),
        f"  batch_size: {plan.batch_size}",
        "",
        "model:",
        "  layers:",
        *convolutions(plan, (height, width)),
        *class_output([one for one, _ in facts.classes]),
        "",
        *learning(sorted(facts.classes, key=lambda pair: -pair[1]), plan),
        "",
        *training(plan, holding),
    ]
    return "\n".join(lines) + "\n"


def plan_for_images(examples: int) -> Plan:
    """For `examples` images to train on."""
    batch_size = 16 if examples < 1_000 else 32 if examples < 10_000 else 64
    epochs = int(round(max(10, min(60, _STEPS * batch_size / max(1, examples))), -1))
    return Plan(1, 16 if examples < 2_000 else 32, 0.3, batch_size, 0.001, 0.0, epochs, max(3, epochs // 6))


def _seen(facts: ImageFacts, command: str) -> list[str]:
    tests = f", and {facts.tests:,} in a test set of their own" if facts.tests else ""
    (least_height, least_width), (most_height, most_width) = facts.sizes.min(axis=0), facts.sizes.max(axis=0)
    is_one = (least_height, least_width) == (most_height, most_width)
    sizes = f"all {most_height}×{most_width}" if is_one else (
        f"{least_height}×{least_width} to {most_height}×{most_width}, most near "
        f"{np.median(facts.sizes[:, 0]):.0f}×{np.median(facts.sizes[:, 1]):.0f}"
    )  # fmt: skip
    rows = [("classes", classes_in_words(facts.classes)),
            ("size", f"{sizes} ({len(facts.sizes)} were looked at)"),
            ("colours", "none, they are grey" if facts.is_grey else "red, green, blue")]  # fmt: skip
    return [
        *wrapped(f"{facts.folder.absolute().name}: {facts.count:,} images in class folders{tests}. "
                 f"Written by `{command}`."),
        "#",
        *table(rows),
        "#",
        *to_beat(facts.classes),
        *(wrapped("With so few images, a network of `keras.applications` that has learned from others, such as "
                  "`MobileNetV2`, tells more: see `dlcli init --from cifar10_mobilenet`.")
          if facts.count < 2_000 else []),
    ]  # fmt: skip


def _augmentation(facts: ImageFacts) -> list[str]:
    flip = [("    - RandomFlip: {mode: horizontal}", "left out where the mirror image means something else")]
    lines = [
        ("  augment:", "other images each time, of the training ones only, so that more is learned from them"),
        *([] if facts.are_signs else flip),
        ("    - RandomTranslation: {height_factor: 0.1, width_factor: 0.1}", ""),
        ("    - RandomRotation: {factor: 0.03}", ""),
    ]
    return beside(lines)


def convolutions(plan: Plan, size: Sequence[int]) -> list[str]:
    """The layers for images of this height and width, up to the last one."""
    blocks = max(1, min(5, int(math.log2(min(size) / _LAST))))
    lines = wrapped(
        f"{size[0]}×{size[1]} pixels: each pooling halves height and width, until about {size[0] >> blocks}×"
        f"{size[1] >> blocks} are left, and each layer looks for more patterns.", 4
    )  # fmt: skip
    for number in range(blocks):
        filters = min(128, plan.units << number)
        lines.append(f"    - Conv2D: {{filters: {filters}, kernel_size: 3, padding: same, activation: relu}}")
        lines.append("    - MaxPooling2D: {pool_size: 2}")
    return [
        *lines,
        *beside([("    - Flatten", ""),
                 (f"    - Dropout: {{rate: {plan.dropout:g}}}", "against learning the images by heart")]),
        f"    - Dense: {{units: {4 * plan.units}, activation: relu}}",
    ]  # fmt: skip
