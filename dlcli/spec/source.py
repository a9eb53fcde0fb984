"""What a source of examples is, in the grammar: what is known of it without loading it. Imports only pydantic."""

# No `from __future__ import annotations`: pydantic would evaluate those of Source again for each class derived from it.

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SerializerFunctionWrapHandler, model_serializer
from typing_extensions import Self

Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
NonNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


INPUT = "input"
"""the name of the model's input, if it has one"""
TARGET = "target"
"""the name of what a source asks for, if it asks for one thing"""


class InputFacts(NamedTuple):
    """One of the inputs that a source gives: its kind, as of a `Source`, and the shape of a raw example.

    Where it is numbers of things, `numbers` is how many of them there are; they are counted from 0.
    """

    kind: str
    shape: tuple[int, ...]
    numbers: int | None = None


class Source(BaseModel):
    """The arguments of one source of examples, as written under `dataset.source`.

    Class variables say what is known before anything is loaded: `shape` of one raw example, `classes` (None for a
    regression target, and where the arguments tell), whether the source brings a test set of its own, `sizes` of its
    training set and test set, the range of its raw values, and the range of a regression's targets.
    """

    # Of all sources a spec uses one or two: the others' validators are never built.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    name: ClassVar[str]
    # "images", "video": bytes 0..255; "table": numbers of any scale; "points": numbers near 1; "features": numbers
    # that reading made of a file's columns; "indices": whole numbers; "several": that of each input by itself
    kind: ClassVar[str]
    shape: ClassVar[tuple[int, ...] | None] = None
    classes: ClassVar[int | None] = None
    has_test_set: ClassVar[bool] = False
    sizes: ClassVar[tuple[int, int] | None] = None
    values: ClassVar[tuple[float, float] | None] = None
    target_range: ClassVar[tuple[float, float] | None] = None

    @property
    def examples(self) -> tuple[int, int] | None:
        """How many examples there are to train on and in the test set, which may be none; None if not known yet."""
        return self.sizes

    @property
    def number_of_classes(self) -> int | None:
        """How many classes there are; None for a regression target, or if not known yet."""
        return self.classes

    @property
    def range_of_targets(self) -> tuple[float, float] | None:
        """Between which numbers a regression's targets are; None for classes, or if not known yet."""
        return self.target_range

    @property
    def split_sizes(self) -> tuple[int, int, int] | None:
        """How many examples are for training, validation and test, if that is no matter of fractions alone."""
        return None

    @property
    def example_shape(self) -> tuple[int, ...]:
        """The shape of one raw example of this source, known without loading it."""
        return self.shape or ()

    @property
    def input_facts(self) -> dict[str, InputFacts]:
        """The inputs by name, known without loading anything; one, called `input`, unless there are several."""
        return {INPUT: InputFacts(self.kind, self.example_shape)}

    @property
    def target_classes(self) -> dict[str, int | None]:
        """What is asked for, by name, each with its number of classes; None for a number."""
        return {TARGET: self.number_of_classes}

    @model_serializer(mode="wrap")
    def _write(self, handler: SerializerFunctionWrapHandler) -> Any:
        arguments = handler(self)
        return {self.name: arguments} if arguments else self.name


class Found(NamedTuple):
    """What a look at its files told of a source.

    Attributes:
        inputs: by name.
        classes: of each target, by name; None for a number.
        sizes: how many examples there are to train on (and to hold others out of), and in its own test set.
        targets: the least and the largest number asked for, where it asks for one number.
        splits: how many examples are for training, validation and test, where that is not to be told by the fractions.
    """

    inputs: Mapping[str, InputFacts]
    classes: Mapping[str, int | None]
    sizes: tuple[int, int]
    targets: tuple[float, float] | None = None
    splits: tuple[int, int, int] | None = None


class FileSource(Source):
    """A source whose files are a person's own: what is known of it shows when somebody has looked into them."""

    kind = "several"

    _found: Found | None = PrivateAttr(None)

    def looked_at(self, found: Found) -> Self:
        """The same source, known."""
        known = self.model_copy()
        known._found = found
        return known

    @property
    def is_known(self) -> bool:
        """Whether somebody has looked."""
        return self._found is not None

    @property
    @abstractmethod
    def files(self) -> tuple[str, ...]:
        """The paths that are written in it."""

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the inputs, which show without a look."""
        return (INPUT,)

    @property
    def target_names(self) -> tuple[str, ...]:
        """The names of what is asked for."""
        return (TARGET,)

    @property
    def examples(self) -> tuple[int, int] | None:
        """As many as were found."""
        return self._found.sizes if self._found else None

    @property
    def number_of_classes(self) -> int | None:
        """That of the only target; None for a number, for several targets, and where nobody has looked."""
        classes = list(self.target_classes.values())
        return classes[0] if len(classes) == 1 else None

    @property
    def range_of_targets(self) -> tuple[float, float] | None:
        """As found."""
        return self._found.targets if self._found else None

    @property
    def split_sizes(self) -> tuple[int, int, int] | None:
        """As found."""
        return self._found.splits if self._found else None

    @property
    def example_shape(self) -> tuple[int, ...]:
        """That of the only input."""
        shapes = [facts.shape for facts in self.input_facts.values()]
        return shapes[0] if len(shapes) == 1 else ()

    @property
    def input_facts(self) -> dict[str, InputFacts]:
        """As found; shapes are not known before."""
        return dict(self._found.inputs) if self._found else dict.fromkeys(self.input_names, InputFacts("unknown", ()))

    @property
    def target_classes(self) -> dict[str, int | None]:
        """As found; whether there are classes is not known before."""
        return dict(self._found.classes) if self._found else dict.fromkeys(self.target_names)
