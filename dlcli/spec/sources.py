"""The grammar of `dataset.source`: the sources, their arguments, and what is known of each without loading it.

How a source is loaded is in `dlcli.data.sources`; nothing here imports more than pydantic.
"""

# No `from __future__ import annotations`: pydantic would evaluate those of Source again for each class derived from it.

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
NonNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


class Source(BaseModel):
    """The arguments of one source of examples, as written under `dataset.source`.

    Class variables say what is known before anything is loaded: `shape` of one raw example, `classes` (None for a
    regression target, and where the arguments tell), whether the source brings a test set of its own, `sizes` of its
    training set and test set, the range of its raw values, and the range of a regression's targets.
    """

    # Of all sources a spec uses one or two: the others' validators are never built.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    name: ClassVar[str]
    kind: ClassVar[str]  # "images": bytes 0..255; "table": numbers of any scale; "points": numbers near 1
    shape: ClassVar[tuple[int, ...] | None] = None
    classes: ClassVar[int | None] = None
    has_test_set: ClassVar[bool] = False
    sizes: ClassVar[tuple[int, int] | None] = None
    values: ClassVar[tuple[float, float] | None] = None
    targets: ClassVar[tuple[float, float] | None] = None

    @property
    def examples(self) -> tuple[int, int] | None:
        """How many examples there are to train on and in the test set, which may be none; None if not known yet."""
        return self.sizes

    @property
    def number_of_classes(self) -> int | None:
        """How many classes there are; None for a regression target, or if not known yet."""
        return self.classes

    @property
    def example_shape(self) -> tuple[int, ...]:
        """The shape of one raw example of this source, known without loading it."""
        return self.shape or ()

    @model_serializer(mode="wrap")
    def _write(self, handler: SerializerFunctionWrapHandler) -> Any:
        arguments = handler(self)
        return {self.name: arguments} if arguments else self.name


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
    targets = (25, 346)


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


SOURCES: dict[str, type[Source]] = {
    source.name: source
    for source in (
        Mnist, FashionMnist, Cifar10, Cifar100, Digits, Iris, Wine, BreastCancer, Diabetes, Xor, Circles, Moons,
        Spirals, Blobs,
    )
}  # fmt: skip
EMBEDDED = ("digits", "iris", "wine", "breast_cancer", "diabetes")
