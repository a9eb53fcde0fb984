"""What a source of examples is, in the grammar: what is known of it without loading it. Imports only pydantic."""

# No `from __future__ import annotations`: pydantic would evaluate those of Source again for each class derived from it.

from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

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
    # "images", "video": bytes 0..255; "table": numbers of any scale; "points": numbers near 1; "indices": whole
    # numbers; "several": that of each input by itself
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
