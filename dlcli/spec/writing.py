"""Writing plain data as YAML that `dlcli.spec.reading` reads back as the same data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from dlcli.spec.scalars import plain_value

_WIDE = 1_000_000  # so that no line is broken


def to_yaml(data: Mapping[str, Any]) -> str:
    """`data` as YAML text, its keys in the order they have."""
    return yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def to_flow(data: Any) -> str:
    """`data` as YAML on one line, as it stands within `{…}` and `[…]`."""
    text = yaml.dump(
        data, Dumper=_Dumper, default_flow_style=True, width=_WIDE, sort_keys=False, allow_unicode=True
    )  # fmt: skip
    return text.removesuffix("\n").removesuffix("\n...")


class _Dumper(yaml.SafeDumper):
    """PyYAML quotes what YAML 1.1 would not read as a text, such as `no`; this one also what YAML 1.2 would not.

    Texts with line breaks and the like are written with escapes: PyYAML's other styles do not keep each of them.
    """


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if text.isprintable() and isinstance(plain_value(text), str) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
