"""The grammar of `dataset.source`: the sources, their arguments, and what is known of each without loading it.

How a source is loaded is in `dlcli.data.sources`; nothing here imports more than pydantic.
"""

# No `from __future__ import annotations`: pydantic would evaluate those of Source again for each class derived from it.

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from dlcli.spec.source import Count, InputFacts, NonNegative, Seed, Source
from dlcli.spec.sources_arrays import Arrays, Python
from dlcli.spec.sources_drawn import Motion, Random, Ratings, Shapes
from dlcli.spec.sources_files import Csv
from dlcli.spec.sources_images import Images, Video
from dlcli.spec.sources_keras import CaliforniaHousing, Imdb, Reuters
from dlcli.spec.sources_records import TfRecord
from dlcli.spec.sources_series import Series
from dlcli.spec.sources_texts import Text


class Mnist(Source):
    """70,000 handwritten digits, 28×28, grey (LeCun, Cortes, Burges)."""

    name = "mnist"
    kind = "images"
    shape = (28, 28)
    classes = 10
    has_test_set = True
    sizes = (60_000, 10_000)
    values = (0, 255)


class FashionMnist(Source):
    """70,000 pieces of clothing, 28×28, grey (Xiao, Rasul, Vollgraf 2017)."""

    name = "fashion_mnist"
    kind = "images"
    shape = (28, 28)
    classes = 10
    has_test_set = True
    sizes = (60_000, 10_000)
    values = (0, 255)


class Cifar10(Source):
    """60,000 colour photographs, 32×32, ten classes (Krizhevsky 2009)."""

    name = "cifar10"
    kind = "images"
    shape = (32, 32, 3)
    classes = 10
    has_test_set = True
    sizes = (50_000, 10_000)
    values = (0, 255)


class Cifar100(Source):
    """60,000 colour photographs, 32×32, a hundred classes (Krizhevsky 2009)."""

    name = "cifar100"
    kind = "images"
    shape = (32, 32, 3)
    classes = 100
    has_test_set = True
    sizes = (50_000, 10_000)
    values = (0, 255)


class Digits(Source):
    """1,797 handwritten digits, 8×8, grey; embedded in scikit-learn, scaled here to bytes 0..255."""

    name = "digits"
    kind = "images"
    shape = (8, 8)
    classes = 10
    sizes = (1_797, 0)
    values = (0, 255)


class Iris(Source):
    """150 iris flowers, 4 measurements, 3 species; embedded in scikit-learn."""

    name = "iris"
    kind = "table"
    shape = (4,)
    classes = 3
    sizes = (150, 0)
    values = (0.1, 7.9)


class Wine(Source):
    """178 wines, 13 measurements, 3 cultivars; embedded in scikit-learn."""

    name = "wine"
    kind = "table"
    shape = (13,)
    classes = 3
    sizes = (178, 0)
    values = (0.13, 1_680)


class BreastCancer(Source):
    """569 tumours, 30 measurements, malignant or benign; embedded in scikit-learn."""

    name = "breast_cancer"
    kind = "table"
    shape = (30,)
    classes = 2
    sizes = (569, 0)
    values = (0, 4_254)


class Diabetes(Source):
    """442 patients, 10 measurements, progression of the disease after a year (a number); embedded in scikit-learn."""

    name = "diabetes"
    kind = "table"
    shape = (10,)
    sizes = (442, 0)
    values = (1, 301)
    target_range = (25, 346)


class Xor(Source):
    """The exclusive or of two bits: four points, both training set and test set, or noisy copies of them."""

    name = "xor"
    kind = "points"
    shape = (2,)
    classes = 2

    samples: Annotated[int, Field(ge=4, multiple_of=4)] = 4
    noise: NonNegative = 0.0
    seed: Seed | None = None

    @property
    def examples(self) -> tuple[int, int]:
        """As many as are asked for; four points are their own test set."""
        return self.samples, 4 if self.samples == 4 else 0


class Circles(Source):
    """Two circles, one inside the other."""

    name = "circles"
    kind = "points"
    shape = (2,)
    classes = 2

    samples: Annotated[int, Field(ge=10)] = 1000
    noise: NonNegative = 0.05
    factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    seed: Seed | None = None

    @property
    def examples(self) -> tuple[int, int]:
        """As many as are asked for."""
        return self.samples, 0


class Moons(Source):
    """Two interleaving half circles."""

    name = "moons"
    kind = "points"
    shape = (2,)
    classes = 2

    samples: Annotated[int, Field(ge=10)] = 1000
    noise: NonNegative = 0.1
    seed: Seed | None = None

    @property
    def examples(self) -> tuple[int, int]:
        """As many as are asked for."""
        return self.samples, 0


class Spirals(Source):
    """Two interleaving spirals (Lang and Witbrock 1988), scaled to the square from -1 to 1."""

    name = "spirals"
    kind = "points"
    shape = (2,)
    classes = 2

    samples: Annotated[int, Field(ge=10)] = 1000
    noise: NonNegative = 0.02
    turns: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 1.5
    seed: Seed | None = None

    @property
    def examples(self) -> tuple[int, int]:
        """As many as are asked for."""
        return self.samples, 0


class Blobs(Source):
    """Gaussian clouds, one a class, with their centres spread over the square from -1 to 1."""

    name = "blobs"
    kind = "points"

    samples: Annotated[int, Field(ge=10)] = 1000
    centers: Annotated[int, Field(ge=2)] = 3
    features: Count = 2
    spread: NonNegative = 0.2
    seed: Seed | None = None

    @property
    def examples(self) -> tuple[int, int]:
        """As many as are asked for."""
        return self.samples, 0

    @property
    def number_of_classes(self) -> int:
        """One class a center."""
        return self.centers

    @property
    def example_shape(self) -> tuple[int, ...]:
        """One number a feature."""
        return (self.features,)


class Pairs(Source):
    """Pairs of images of another set, `left` and `right`, half of them of the same class: whether they are.

    The pairs of the test set are of images that are in no pair to train on.
    """

    name = "pairs"
    kind = "several"
    classes = 2
    has_test_set = True
    values = (0, 255)

    of: Literal["digits", "mnist", "fashion_mnist", "cifar10", "cifar100"]
    samples: Annotated[int, Field(ge=10)] = 10_000
    seed: Seed | None = None

    @property
    def examples(self) -> tuple[int, int]:
        """As many as are asked for, and a fifth of that to test on."""
        return self.samples, self.samples // 5

    @property
    def input_facts(self) -> dict[str, InputFacts]:
        """Two images."""
        sets: tuple[type[Source], ...] = (Digits, Mnist, FashionMnist, Cifar10, Cifar100)
        image = InputFacts("images", next(one.shape or () for one in sets if one.name == self.of))
        return {"left": image, "right": image}


SOURCES: dict[str, type[Source]] = {
    source.name: source
    for source in (
        Mnist, FashionMnist, Cifar10, Cifar100, Imdb, Reuters, CaliforniaHousing,
        Digits, Iris, Wine, BreastCancer, Diabetes, Xor, Circles, Moons,
        Spirals, Blobs, Shapes, Motion, Pairs, Ratings, Random, Csv, Series, Arrays, Images, Text, Video, TfRecord,
        Python,
    )
}  # fmt: skip
EMBEDDED = ("digits", "iris", "wine", "breast_cancer", "diabetes")


def source_of(data: Any) -> Source | None:
    """The source that a spec's plain data names; None where it has a mistake."""
    dataset = data.get("dataset") if isinstance(data, Mapping) else None
    written = dataset.get("source") if isinstance(dataset, Mapping) else None
    named = written if isinstance(written, dict) and written else {written: None} if isinstance(written, str) else {}
    try:
        [(name, arguments)] = named.items()
        return SOURCES[name](**(arguments or {}))
    except (KeyError, TypeError, ValueError, ValidationError):
        return None
