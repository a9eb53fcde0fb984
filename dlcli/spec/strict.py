"""What every mapping of the grammar is like: its keys are known, its values are as written, and it does not change."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Item = TypeVar("Item")
# YAML has lists and frozen data has tuples: only the container is converted, its items are checked strictly.
List = Annotated[tuple[Item, ...], Field(strict=False)]


class Part(BaseModel):
    """A mapping of the spec: unknown keys are refused, values are not converted, and nothing changes afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
