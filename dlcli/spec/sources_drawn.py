"""The grammar of the sources that are drawn and have several inputs, several targets, or examples with more axes."""

# No `from __future__ import annotations`: pydantic would evaluate those of Source again for each class derived from it.

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator
from pydantic_core import PydanticCustomError

from dlcli.spec.refusals import refusal
from dlcli.spec.source import INPUT, TARGET, Count, InputFacts, NonNegative, Seed, Source

_NAME = r"^[A-Za-z0-9_.\-]+$"  # as those of layers
_Name = Annotated[str, Field(pattern=_NAME)]
_Shape = Annotated[tuple[Count, ...], Field(strict=False, max_length=6)]


class Shapes(Source):
    """Grey pictures of a circle, a square or a triangle: which of them (`kind`), and how large in pixels (`size`)."""

    name = "shapes"
    kind = "images"
    values = (0, 255)

    samples: Annotated[int, Field(ge=10)] = 2000
    side: Annotated[int, Field(ge=12, le=512)] = 24
    noise: NonNegative = 20.0
    seed: Seed | None = None

    @property
    def examples(self) -> tuple[int, int]:
        """As many as are asked for."""
        return self.samples, 0

    @property
    def example_shape(self) -> tuple[int, ...]:
        """Height and width."""
        return self.side, self.side

    @property
    def target_classes(self) -> dict[str, int | None]:
        """The shape, and its size."""
        return {"kind": 3, "size": None}


class Motion(Source):
    """Films of a bright square that moves right, down, left or up over a noisy ground: in which direction."""

    name = "motion"
    kind = "video"
    classes = 4
    values = (0, 255)

    samples: Annotated[int, Field(ge=10)] = 1000
    frames: Annotated[int, Field(ge=2, le=1000)] = 8
    side: Annotated[int, Field(ge=8, le=512)] = 16
    noise: NonNegative = 20.0
    seed: Seed | None = None

    @property
    def examples(self) -> tuple[int, int]:
        """As many as are asked for."""
        return self.samples, 0

    @property
    def example_shape(self) -> tuple[int, ...]:
        """Frames, height, width, and one channel."""
        return self.frames, self.side, self.side, 1


class Ratings(Source):
    """What users think of items, from 1 to 5, made from hidden tastes: the numbers of a `user` and an `item`."""

    name = "ratings"
    kind = "several"
    target_range = (1, 5)

    samples: Annotated[int, Field(ge=10)] = 20_000
    users: Count = 300
    items: Count = 200
    factors: Count = 3
    noise: NonNegative = 0.3
    seed: Seed | None = None

    @property
    def examples(self) -> tuple[int, int]:
        """As many as are asked for."""
        return self.samples, 0

    @property
    def input_facts(self) -> dict[str, InputFacts]:
        """A number each."""
        return {"user": InputFacts("indices", (), self.users), "item": InputFacts("indices", (), self.items)}


def _one_shape(raw: Any) -> Any:
    if not isinstance(raw, (list, tuple, Mapping)):
        text = "must be the sizes of an example, as in `[28, 28, 1]`, or such lists by the names of inputs"
        raise PydanticCustomError("expected", text)
    if isinstance(raw, Mapping):
        return raw
    for number, size in enumerate(raw):
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            shown = "a list" if isinstance(size, (list, Mapping)) else f"`{size}`"
            text = "is wrong: the sizes of an example are whole numbers of at least 1, as in `[28, 28, 1]`; "
            raise refusal(f"{text}received {shown}", None, (number,))
    return {INPUT: raw}


def _one_target(raw: Any) -> Any:
    is_count = isinstance(raw, int) and not isinstance(raw, bool)
    if not is_count and not isinstance(raw, Mapping):
        raise PydanticCustomError("expected", "must be a number of classes, or such numbers by the names of targets")
    if isinstance(raw, int) and raw < 1:
        raise PydanticCustomError("expected", "must be at least 1")
    return {TARGET: raw} if is_count else raw


_COUNT = {"type": "integer", "minimum": 1}
_NAMED = {"type": "object", "minProperties": 1, "propertyNames": {"pattern": _NAME}}
_SIZES = {"type": "array", "items": _COUNT, "maxItems": 6}
_SHAPES = {"anyOf": [_SIZES, {**_NAMED, "additionalProperties": _SIZES}]}
_ANSWERS = {"anyOf": [_COUNT, {**_NAMED, "additionalProperties": _COUNT}]}


class Random(Source):
    """Random numbers of any shape, with random answers: nothing to learn, for trying out a model and its speed."""

    name = "random"
    kind = "several"

    samples: Annotated[int, Field(ge=10)] = 1000
    shapes: Annotated[Mapping[_Name, _Shape], BeforeValidator(_one_shape), WithJsonSchema(_SHAPES)]
    """the shape of an example; or the shapes of several inputs by name"""
    answers: Annotated[Mapping[_Name, Count], BeforeValidator(_one_target), WithJsonSchema(_ANSWERS)] = {TARGET: 1}
    """how many classes there are, or 1 for a number; or that of several targets by name"""
    seed: Seed | None = None

    @field_validator("shapes", "answers")
    @classmethod
    def _not_empty(cls, named: Mapping[str, Any]) -> Mapping[str, Any]:
        if not named:
            raise PydanticCustomError("expected", "must not be empty")
        return named

    @property
    def examples(self) -> tuple[int, int]:
        """As many as are asked for."""
        return self.samples, 0

    @property
    def example_shape(self) -> tuple[int, ...]:
        """That of the only input; none if there are several."""
        [shape, *others] = self.shapes.values()
        return () if others else shape

    @property
    def number_of_classes(self) -> int | None:
        """That of the only target; None if there are several."""
        [classes, *others] = self.target_classes.values()
        return None if others else classes

    @property
    def input_facts(self) -> dict[str, InputFacts]:
        """As they are asked for; a single one is called `input`, as everywhere."""
        names = self.shapes if len(self.shapes) > 1 else (INPUT,)
        return {name: InputFacts("points", shape) for name, shape in zip(names, self.shapes.values(), strict=True)}

    @property
    def target_classes(self) -> dict[str, int | None]:
        """As they are asked for."""
        return {name: None if count == 1 else count for name, count in self.answers.items()}
