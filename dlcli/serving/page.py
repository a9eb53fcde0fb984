"""The page on which a person tries the model: one file that loads nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib import resources


def page(name: str) -> tuple[str, str]:
    """The page on a model of that name, and the content security policy that goes with it."""
    folder = resources.files("dlcli.serving")
    style, script, html = ((folder / f"page.{suffix}").read_text(encoding="utf-8") for suffix in ("css", "js", "html"))
    hashed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{hashed}'; style-src 'unsafe-inline'; img-src data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    for mark, text in (("/*style*/", style), ("<!--name-->", escape(name)), ("/*script*/", script)):
        html = html.replace(mark, text)
    return html, policy
