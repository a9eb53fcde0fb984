"""The table in configs/README.md of what each config's model can be exported to is true."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import IS_THOROUGH, skip_without_files, some_of
from tests.exports_of_configs import FORMATS, SEEN, see
from tests.test_configs import SHORTER

TABLE = json.loads(SEEN.read_text(encoding="utf-8"))
FORMS = FORMATS if IS_THOROUGH else ("onnx", "tflite")


@pytest.mark.parametrize("name", some_of(list(TABLE), "xor"))
def test_what_a_config_is_exported_to(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    skip_without_files(name)
    monkeypatch.setattr("dlcli.data.keras_cache.probe", lambda url: "no network in this test")
    monkeypatch.chdir(tmp_path)
    assert see(name, FORMS, list(SHORTER.get(name, ()))) == {form: TABLE[name][form] for form in FORMS}
