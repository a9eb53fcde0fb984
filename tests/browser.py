"""Looks at a page in a headless Chromium, if there is one: what overflows, overlaps, is cut off, empty or loaded."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_CHECK = Path(__file__).with_name("browser_check.js")
_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--timeout=20000", "--window-size=1600,1000",
    "--disable-background-networking", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip


def wrong_with(pages: Mapping[str, str], widths: tuple[int, ...], folder: Path) -> list[str]:
    """What is wrong with pages, each at each width in pixels, in one start of the browser.

    Args:
        pages: HTML, by name.
        widths: of the frames that they are shown in: a window cannot be as narrow as a telephone.
        folder: for what is needed meanwhile.
    """
    check, frames = _CHECK.read_text(encoding="utf-8").split("\n", 1)[1], []
    for name, text in pages.items():
        # The page's own policy rightly stops the script.
        open_to_scripts = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
        asked = f"parent.postMessage([{json.dumps(name)}, {check}], '*')"
        script = f"<script>addEventListener('load', () => {asked})</script>"
        (folder / f"{name}.html").write_text(open_to_scripts.replace("</body>", f"{script}</body>"), encoding="utf-8")
        frames += [f'<iframe src="{name}.html" style="border:0;width:{width}px;height:900px">' for width in widths]
    answer = "addEventListener('message', one => { told.push(one.data); out.textContent = JSON.stringify(told) })"
    listening = f"<!doctype html><pre id=out></pre><script>const told = []; {answer}</script>"
    outer = listening + "".join(f"{frame}</iframe>" for frame in frames)
    (folder / "frames.html").write_text(outer, encoding="utf-8")
    own = (f"--user-data-dir={folder / 'profile'}", "--dump-dom", (folder / "frames.html").as_uri())
    done = subprocess.run([str(CHROMIUM), *_OPTIONS, *own], capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'<pre id="out">(.*?)</pre>', done.stdout, re.S)
    told = json.loads(html.unescape(found[1])) if found and found[1] else []
    seen = {(name, int(lines[0])) for name, lines in told}
    missing = [f"{name} at {width}: no answer" for name in pages for width in widths if (name, width) not in seen]
    return missing + [f"{name} at {lines[0]}: {line}" for name, lines in told for line in lines[1:]]
