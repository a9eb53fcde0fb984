"""What is told of a model that is served: what it takes and gives, its scores, and what it was made with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dlcli import __version__
from dlcli.data.dataset import named
from dlcli.data.encoding import Encoding, Encodings, restore_encoding
from dlcli.runs.finding import find_run
from dlcli.serving.refusals import Limits
from dlcli.serving.served import Served
from dlcli.training.checkpoint import Checkpoint
from dlcli.training.checkpoint_file import content_digest


def metadata(served: Served, limits: Limits) -> dict[str, Any]:
    """All of it, as data for JSON."""
    contents = served.contents
    return {
        "name": contents.spec.get("name", served.checkpoint.path.stem),
        "takes": served.intake.describe(),
        "gives": _outputs(restore_encoding(contents.encoding), contents.class_names),
        "classes": contents.class_names,
        "metrics": _metrics(served.checkpoint),
        "position": contents.position,
        "versions": {"dlcli": __version__, **contents.versions},
        "digest": content_digest(served.checkpoint.path),
        "limits": {
            "body_bytes": limits.body, "rows": limits.rows, "pixels": limits.pixels,
            "waiting_requests": limits.waiting, "patience_seconds": limits.patience,
        },
    }  # fmt: skip


def _outputs(encoding: Any, class_names: Any) -> list[dict[str, Any]]:
    each: Mapping[str, Encoding] = encoding.each if isinstance(encoding, Encodings) else {"": encoding}
    classes = named(class_names)
    found = []
    for name, one in each.items():
        kind = "copy" if one.kind == "input" else "number" if one.classes is None else "classes"
        known = classes.get(name)
        found.append({"name": name, "kind": kind, "classes": list(known) if known and kind == "classes" else None})
    return found


def _metrics(checkpoint: Checkpoint) -> dict[str, Any]:
    """The figures of metrics.json, if they are of this checkpoint; else those of its last epoch."""
    run = find_run(checkpoint.path)
    path = run.path / "metrics.json" if run is not None else None
    if run is not None and path is not None and path.is_file() and run.best.resolve() == checkpoint.path.resolve():
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    history = checkpoint.contents.history if checkpoint.contents is not None else []
    return dict(history[-1]) if history else {}
