"""Which shipped config's model each format holds: seen by exporting it after a shortened training.

python -m tests.exports_of_configs    # sees all of them anew (half an hour), for configs/README.md
python -m tests.exports_of_configs mnist_lstm iris    # these alone
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

from tests.conftest import CONFIGS, run_quietly

SEEN = Path(__file__).with_suffix(".json")
FORMATS = ("keras", "savedmodel", "weights", "onnx", "tflite", "tflite --float16", "tflite --int8")
HELD, REFUSED = "yes", "no"
_TOP = """
## What each can be exported to

`dlcli export`, after a shortened training of each (`python -m tests.exports_of_configs`): each model was loaded by
the format's own runtime, and answered as dlcli does. Where it says no, the format lacks an operation, or its answers
were too far from dlcli's.

"""


def train_shortly(name: str, changes: list[str], root: Path) -> Path:
    """The folder of the run of a smoke training, which would else be thrown away."""

    class Kept:
        def __init__(self, prefix: str) -> None:
            pass

        def __enter__(self) -> str:
            return str(root)

        def __exit__(self, *error: object) -> None:
            pass

    words = [word for change in changes for word in ("--set", change)]
    with patch("tempfile.TemporaryDirectory", Kept):
        assert run_quietly("train", CONFIGS / f"{name}.yaml", "--smoke", *words, "-q") == 0, name
    [run] = (path.parent.parent for path in root.rglob("best.h5"))
    return run


def exported(run: Path, form: str, folder: Path) -> str:
    """Whether a run's model is exported to a format."""
    code = run_quietly("export", run, "--format", *form.split(), "-o", folder / form.replace(" ", ""))
    return {0: HELD, 2: REFUSED, 4: REFUSED}.get(code, f"error {code}")


def see(name: str, forms: tuple[str, ...], changes: list[str]) -> dict[str, str]:
    """What a config's model is exported to."""
    with tempfile.TemporaryDirectory() as folder:
        run = train_shortly(name, changes, Path(folder) / "run")
        return {form: exported(run, form, Path(folder)) for form in forms}


def table() -> str:
    """The section of configs/README.md."""
    seen = json.loads(SEEN.read_text(encoding="utf-8"))
    head = ["| config | " + " | ".join(FORMATS) + " |", "|---" * (len(FORMATS) + 1) + "|"]
    rows = [f"| {name} | " + " | ".join(forms[form] for form in FORMATS) + " |" for name, forms in sorted(seen.items())]
    return _TOP + "\n".join([*head, *rows]) + "\n"


if __name__ == "__main__":
    from tests.test_configs import NAMES, SHORTER

    found = json.loads(SEEN.read_text(encoding="utf-8")) if SEEN.exists() else {}
    for one in sys.argv[1:] or NAMES:
        found[one] = see(one, FORMATS, list(SHORTER.get(one, ())))
        print(one, found[one], flush=True)  # noqa: T201
        SEEN.write_text(json.dumps(dict(sorted(found.items())), indent=1) + "\n", encoding="utf-8")
