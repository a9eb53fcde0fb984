"""`train.mlflow` as it is written: `true`, or a mapping; the mapping itself is in `dlcli.spec.grammar`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlcli.spec.characters import shortened
from dlcli.spec.refusals import refusal


class OrBoolean:
    """For the JSON Schema: what is annotated with it may be `true` or `false` as well."""

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Any) -> dict[str, Any]:
        return {"anyOf": [{"type": "boolean"}, handler(core_schema)]}


def mlflow_read(value: Any) -> Any:
    """`true` is a mapping that says nothing more, `false` is none. Raises what pydantic reports."""
    if isinstance(value, bool):
        return {} if value else None
    if value is None or isinstance(value, Mapping) or hasattr(value, "model_dump"):
        return value
    text = f"must be `true`, or a mapping with `tracking_uri` and `experiment`; received {shortened(repr(value))}"
    raise refusal(text, 'Write `mlflow: {tracking_uri: "http://127.0.0.1:5000"}` for a server.')
