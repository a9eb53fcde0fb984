"""`dlcli serve`: answers as `dlcli predict` gives them, limits on whoever asks, and a page."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import re
import signal
import socket
import struct
import threading
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import uvicorn
from PIL import Image
from sklearn.datasets import load_digits

from dlcli.data.columns import Category, Date, Index, Number, Text
from dlcli.data.series_reader import SeriesReader
from dlcli.data.table_layout import Layout
from dlcli.data.table_reader import TableReader, TargetColumn
from dlcli.evaluation.inputs import Expected
from dlcli.serving.application import Application
from dlcli.serving.batching import Batches
from dlcli.serving.content import Rows, safe_name
from dlcli.serving.numbers import NumbersIntake
from dlcli.serving.page import page
from dlcli.serving.protocol import PatientProtocol
from dlcli.serving.refusals import Held, Limits, RefusedError
from dlcli.serving.served import Served
from dlcli.serving.server import LastAnswers, open_socket
from dlcli.serving.tables import SeriesIntake, TableIntake
from dlcli.training.checkpoint import open_checkpoint
from dlcli.training.choices import Choices
from tests.conftest import Command, run_quietly

LIMITS = Limits(body=200_000, rows=20, pixels=1_000_000)
JSON = {"Content-Type": "application/json"}
Ask = Callable[..., httpx.Response]
UNUSED: Any = None  # where a checkpoint is only read for files


def pixels() -> np.ndarray:
    """Three digits as bytes."""
    return np.round(load_digits().images[:3] * 255.0 / 16.0).astype(np.uint8)


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def asker(application: Application) -> Ask:
    def ask(path: str = "/predict", method: str = "POST", **request: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(application.app), base_url="http://here"
            ) as client:
                return await client.request(method, path, **request)

        return asyncio.run(send())

    return ask


@pytest.fixture(scope="module")
def served(small_run: Path) -> Served:
    return Served(open_checkpoint(small_run / "checkpoints" / "best.h5"), Choices(), LIMITS)


@pytest.fixture(scope="module")
def ask(served: Served) -> Iterator[Ask]:
    application = Application(served, LIMITS, print)
    yield asker(application)
    application.close()


def test_pictures_arrays_and_rows_are_answered_as_predict_does(
    dlcli: Command, ask: Ask, small_run: Path, tmp_path: Path
) -> None:
    raw = pixels()
    (tmp_path / "zero.png").write_bytes(png(raw[0]))
    Image.fromarray(np.stack([raw[1]] * 3, axis=-1).repeat(5, 0).repeat(5, 1)).save(tmp_path / "large.jpg")
    np.save(tmp_path / "three.npy", raw)
    files = [tmp_path / name for name in ("zero.png", "large.jpg", "three.npy")]
    expected = dlcli("predict", small_run, *files, "--json").json
    answer = ask(files=[("file", (path.name, path.read_bytes())) for path in files])
    assert answer.status_code == 200
    rows = answer.json()["predictions"]
    assert [row["input"] for row in rows] == [row["input"] for row in expected]
    for row, other in zip(rows, expected, strict=True):
        assert row["class"] == other["class"]
        assert row["probability"] == pytest.approx(other["probability"], abs=1e-6)
        assert list(row["probabilities"]) == [str(number) for number in range(10)]
        assert row["probabilities"][row["class"]] == row["probability"]
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    for request in (
        {"json": {"rows": raw.tolist()}},
        {"json": raw.tolist()},
        {"json": {"rows": raw.reshape(3, -1).tolist()}},
        {"content": json.dumps(raw.tolist()), "headers": {"Content-Type": "application/json; charset=utf-8"}},
    ):
        sent = ask(**request).json()["predictions"]
        assert [row["input"] for row in sent] == ["rows[0]", "rows[1]", "rows[2]"]
        assert [row["probability"] for row in sent] == pytest.approx([row["probability"] for row in rows[2:]], abs=1e-6)
    alone = ask(content=png(raw[0]), headers={"Content-Type": "image/png"}).json()["predictions"]
    assert alone[0]["probability"] == pytest.approx(rows[0]["probability"], abs=1e-6)


def bomb(side: int) -> bytes:
    """A PNG of a few kilobytes with as many pixels as that, squared."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99_999))


BAD: dict[str, tuple[dict[str, Any], int, str]] = {
    "not JSON": ({"content": b"{hello", "headers": JSON}, 400, "is no JSON"),
    "not UTF-8": ({"content": b'{"rows": ["\xff"]}', "headers": JSON}, 400, "not written in UTF-8"),
    "NaN": ({"content": b'{"rows": [[NaN]]}', "headers": JSON}, 400, "NaN is no number"),
    "twice": ({"content": b'{"rows": [1], "rows": [2]}', "headers": JSON}, 400, "`rows` twice"),
    "deep": ({"content": b"[" * 90_000 + b"]" * 90_000, "headers": JSON}, 400, "too deep"),
    "a large number": ({"content": b"[[1" + b"0" * 9_000 + b"]]", "headers": JSON}, 400, "is no JSON"),
    "more than 64 bits": ({"content": b"[[1" + b"0" * 90 + b"]]", "headers": JSON}, 422, "more than 64 bits"),
    "empty": ({"content": b"", "headers": JSON}, 400, "is empty"),
    "no rows": ({"json": {"row": [1]}}, 400, "has no `rows`; it has `row`"),
    "more than rows": ({"json": {"rows": [1], "options": 1}}, 400, "`options`, which is not known"),
    "no list": ({"json": {"rows": "hello"}}, 400, "are a text, not a list"),
    "no row": ({"json": {"rows": []}}, 400, "no rows"),
    "too many rows": ({"json": {"rows": [1] * 21}}, 413, "21 rows; at most 20"),
    "another shape": ({"json": {"rows": [[1, 2, 3]]}}, 422, "takes examples of 8×8"),
    "one example": ({"json": {"rows": pixels()[0].tolist()}}, 422, "a single example of 8×8"),
    "ragged": ({"json": {"rows": [[1, 2], [1]]}}, 422, "different lengths"),
    "a text in numbers": ({"json": {"rows": [[1, 2], [1, "a"]]}}, 422, "row 2, has a text where a number"),
    "null in numbers": ({"json": {"rows": [[None]]}}, 422, "row 1, has null"),
    "objects": ({"json": {"rows": [{"a": 1}]}}, 422, "has an object"),
    "half a character": ({"content": b'{"rows": [["\\ud800"]]}', "headers": JSON}, 422, "has a text"),
    "scaled pixels": ({"json": {"rows": (pixels()[:1] / 255).tolist()}}, 422, "whole numbers 0 to 255"),
    "a text as image": ({"content": b"hello", "headers": {"Content-Type": "image/png"}}, 422, "is not an image"),
    "a text in a form": ({"files": {"file": ("../../x.png", b"hello")}}, 422, "x.png is not an image"),
    "a text": ({"content": b"hello", "headers": {"Content-Type": "text/plain"}}, 422, "has a text where a number"),
    "a table of words": ({"files": {"file": ("a.csv", b"a,b\n1,x\n")}}, 422, "a.csv, row 2"),
    "a long table": ({"files": {"file": ("a.csv", b"1\n" * 50)}}, 413, "49 rows; at most 20"),
    "another file": ({"files": {"file": ("a.h5", b"x")}}, 422, "is not an image"),
    "a bomb": ({"files": {"file": ("a.png", bomb(2_000))}}, 413, "2,000×2,000 pixels; at most 1,000,000"),
    "a huge bomb": ({"files": {"file": ("a.png", bomb(60_000))}}, 422, "more pixels than any picture should"),
    "no file": ({"content": b"--x--\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400, "form"),
    "no form": ({"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400, "form"),
    "a field": ({"data": {"a": "b"}, "files": {"file": ("a.png", b"x")}}, 400, "`a`, which is no file"),
    "a form of the web": ({"data": {"a": "b"}}, 415, "`application/x-www-form-urlencoded`"),
    "no type": ({"content": b"x"}, 415, "without a content type"),
    "packed": ({"content": b"x", "headers": {**JSON, "Content-Encoding": "gzip"}}, 415, "packed"),
    "too large": ({"content": b"x" * 200_001, "headers": JSON}, 413, "larger than 200,000 bytes"),
    "many fields": ({"headers": {f"x-{number}": "y" for number in range(5_000)}}, 431, "The header"),
    "nowhere": ({"path": "/nowhere"}, 404, "no /nowhere"),
    "another method": ({"method": "GET"}, 405, "GET /predict"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_requests_are_refused_in_clear_words(ask: Ask, name: str) -> None:
    request, status, words = BAD[name]
    answer = ask(**request)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["error"]
    assert "Traceback" not in answer.text
    assert "/tmp" not in answer.text


def test_a_body_is_not_read_beyond_the_limit(served: Served) -> None:
    application = Application(served, LIMITS, print)
    read = 0

    async def parts() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b" " * 50_000

    async def send() -> int:
        sent: list[Any] = []
        source = parts()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": await anext(source), "more_body": True}

        async def keep(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/predict", "query_string": b"", "headers": []}
        await application.app(scope, receive, keep)
        return int(sent[0]["status"])

    assert asyncio.run(send()) == 413
    assert read == 5
    answer = asker(application)(content=b"x", headers={"Content-Length": "1000000000"})
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    application.close()


def test_a_fault_is_told_by_a_number_that_is_in_the_log(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []

    def fail(asked: Sequence[Any]) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr(served, "answers", fail)
    application = Application(served, LIMITS, lines.append)
    answer = asker(application)(json=pixels().tolist())
    application.close()
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert len(lines) == 1
    assert answer.json()["id"] in lines[0]
    assert "RuntimeError: secret" in lines[0]


def test_metadata_health_and_schema_tell_what_a_program_needs(ask: Ask, small_run: Path) -> None:
    assert ask("/health", "GET").json() == {"status": "ok"}
    found = ask("/metadata", "GET").json()
    assert found["name"] == "small"
    assert found["classes"] == [str(number) for number in range(10)]
    assert found["gives"] == [{"name": "", "kind": "classes", "classes": found["classes"]}]
    assert (found["takes"]["kind"], found["takes"]["height"], found["takes"]["colors"]) == ("image", 8, 1)
    assert found["metrics"] == json.loads((small_run / "metrics.json").read_text())
    assert {"dlcli", "keras", "tensorflow"} <= set(found["versions"])
    assert re.fullmatch("[0-9a-f]{32}", found["digest"])
    assert ask(json=found["takes"]["example"]).status_code == 200
    schema = ask("/openapi.json", "GET").json()
    assert set(schema["paths"]) == {"/health", "/metadata", "/predict"}
    assert "application/json" in schema["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert ask("/docs", "GET").status_code == 404


def test_the_page_loads_nothing_from_elsewhere(ask: Ask) -> None:
    answer = ask("/", "GET")
    assert answer.headers["content-type"].startswith("text/html")
    assert not re.findall(r"(?:https?:)?//[a-z]|@import|src=\"[^d]", answer.text)
    [script] = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in answer.headers["content-security-policy"]
    assert "<b>&" not in page("<b>&")[0]


def test_requests_that_wait_are_answered_together_and_apart_from_others_mistakes() -> None:
    sizes: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def answer(asked: Sequence[Sequence[int]]) -> Sequence[Any]:
        begun.set()
        go_on.wait(60)
        sizes.append(len(asked))
        if any(-1 in one for one in asked):
            raise ValueError("a mistake")
        return [sum(one) for one in asked]

    async def several() -> list[Any]:
        first = batches.ask([1])
        while not begun.is_set():
            await asyncio.sleep(0.001)
        others = [batches.ask(one) for one in ([2, 2], [-1], [3], [4, 4, 4])]
        others.pop(2).cancel()
        with pytest.raises(RefusedError, match="waiting"):
            batches.ask([5])
        go_on.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    batches: Batches[Sequence[int]] = Batches(answer, together=5, waiting=4)
    found = asyncio.run(several())
    assert [found[0], found[1], found[3]] == [1, 4, 12]
    assert isinstance(found[2], ValueError)
    assert sizes == [1, 2, 1, 1, 1]  # the two of a batch that failed again, each alone; then what had no room in it
    batches.close()


def test_who_comes_when_too_many_wait_is_told_to_come_again(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def answer(asked: Sequence[Any]) -> list[Any]:
        begun.set()
        go_on.wait(60)
        return [[{"class": "0"}] for _ in asked]

    monkeypatch.setattr(served, "answers", answer)
    application = Application(served, replace(LIMITS, waiting=1), print)
    ask = asker(application)
    with ThreadPoolExecutor() as threads:
        first = threads.submit(ask, json=pixels().tolist())
        begun.wait(60)
        others = [threads.submit(ask, json=pixels().tolist()) for _ in range(2)]
        while not any(other.done() for other in others):
            time.sleep(0.01)
        go_on.set()
        answers = sorted((one.result() for one in (first, *others)), key=lambda one: one.status_code)
    application.close()
    assert [one.status_code for one in answers] == [200, 200, 503]
    assert answers[2].headers["retry-after"] == "1"


def test_more_bytes_than_can_be_held_have_to_come_later() -> None:
    held = Held(10)
    held.take(8)
    with pytest.raises(RefusedError) as caught:
        held.take(3)
    assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "1"})
    held.give_back(8)
    held.take(10)


def test_what_is_on_its_way_is_answered_before_the_server_ends() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    class Protocol(PatientProtocol):
        pass

    listening = open_socket("127.0.0.1", 0)
    server = LastAnswers(uvicorn.Config(app, http=Protocol, loop="asyncio", ws="none", lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    asked = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
    with socket.create_connection(listening.getsockname()) as first:
        first.sendall(asked)
        answer = b""
        while not answer.endswith(b"ok"):
            answer += first.recv(1000)
        first.sendall(b"GET / HTTP/1.1\r\n")  # the rest is on its way
        with socket.create_connection(listening.getsockname()) as half:
            half.sendall(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nab")
            half.shutdown(socket.SHUT_WR)
            told = b"".join(iter(lambda: half.recv(1000), b""))
        server.should_exit = True
        while not Protocol.is_over:
            time.sleep(0.01)
        first.sendall(b"Host: here\r\n\r\n")
        assert b"".join(iter(lambda: first.recv(1000), b"")).startswith(b"HTTP/1.1 200")
    thread.join()
    assert told.startswith(b"HTTP/1.1 400")


def test_names_of_files_lead_nowhere() -> None:
    names = ["../../etc/passwd", "C:\\a\\b.csv", ".hidden", "", "a\nb\x1b[1m.png", "x" * 300 + ".npy", "ä ö.csv"]
    found = [safe_name(name) for name in names]
    assert found[:5] == ["passwd", "b.csv", "hidden", "file", "a_b_[1m.png"]
    assert (len(found[5]), found[5][-4:], found[6]) == (100, ".npy", "ä ö.csv")


def reader() -> TableReader:
    """What encodes a table with a column of each kind."""
    values = {
        "size": [1.5, 2, None], "kind": ["a", "b", "a"], "number": [1, 2, 3], "is": [True, False, True],
        "day": ["2024-01-01", "2024-03-05", "2023-01-01"], "words": ["good day", "bad day", "no 5"],
    }  # fmt: skip
    frame = pd.DataFrame(values)
    columns = (
        Number.fit("size", frame["size"], "x", is_scaled=True), Category.fit("kind", frame["kind"]),
        Category.fit("number", frame["number"]), Category.fit("is", frame["is"]), Date.fit("day", frame["day"], "x"),
    )  # fmt: skip
    inputs = {"numbers": columns, "words": (Text.fit("words", frame["words"], 4, None),),
              "index": (Index.fit("number", frame["number"], None),)}  # fmt: skip
    layout = Layout(header=True, separator=None, quotes=None, decimal=".", encoding="utf-8", missing=("", "NA"))
    return TableReader(layout, inputs, {"y": TargetColumn("y", ("n", "y"), True)}, tuple(frame.columns))


ROWS: list[dict[str, Any]] = [
    {"size": 3, "kind": "b", "number": 2, "is": True, "day": "2024-12-31", "words": "Good, good 5!", "more": [1]},
    {"size": "4.5", "kind": "unknown", "number": "3.0", "is": False, "day": "NA", "words": "NA", "more": 1},
    {"size": None, "kind": None, "number": None, "is": None, "day": None, "words": None, "more": None},
    {"size": -1e30, "kind": " a ", "number": 7, "is": "true", "day": "2024-02-29", "words": "5", "more": "x"},
]


def test_rows_of_json_become_what_they_would_be_in_a_file(tmp_path: Path) -> None:
    names = ["size", "kind", "number", "is", "day", "words"]
    spelt = {True: "True", False: "False", None: ""}

    def written(value: Any) -> str:
        return spelt[value] if value is None or isinstance(value, bool) else f'"{value}"'

    intake = TableIntake(UNUSED, LIMITS, reader())
    for rows in ([ROWS[0]], ROWS[:2], ROWS):
        lines = [",".join(names), *(",".join(written(row[name]) for name in names) for row in rows)]
        (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        expected: Any = reader().raw_inputs([tmp_path / "rows.csv"])[0]
        taken = [intake.take(Rows([row])) for row in rows]
        found: Any = intake.together([one.values for one in taken])
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name])
    assert intake.take(Rows(ROWS[:2])).names == ["rows[0]", "rows[1]"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"size": "big"}, "column `size`: row 1 has `big`"),
        ({"size": 1e400}, "column `size`: row 1 has `inf`"),
        ({"size": 10**400}, "column `size`: row 1 has `inf`"),
        ({"size": True}, "column `size`: row 1 has `True`"),
        ({"size": "1_000"}, "column `size`: row 1 has `1_000`"),
        ({"day": "31.12.2024"}, "which is no date"),
        ({"kind": ["a"]}, "column `kind`, has a list"),
        ({"size": ...}, "has no column `size`"),
        ([1, 2], "is a list, not an object with the columns `size`"),
    ],
)
def test_a_row_that_does_not_fit_its_columns_is_told(row: Any, words: str) -> None:
    intake = TableIntake(UNUSED, LIMITS, reader())
    changed = {**ROWS[0], **row} if isinstance(row, dict) else row
    if isinstance(changed, dict):
        changed = {name: value for name, value in changed.items() if value is not ...}
    with pytest.raises(Exception, match=re.escape(words)):
        intake.together([intake.take(Rows([changed])).values])


def test_series_are_served_by_the_windows_in_the_rows_of_a_request(tmp_path: Path) -> None:
    frame = pd.DataFrame({"day": [f"2024-01-{day:02}" for day in range(1, 8)], "x": [float(day) for day in range(7)]})
    layout = Layout(header=True, separator=None, quotes=None, decimal=".", encoding="utf-8", missing=("",))
    column = Number.fit("x", frame["x"], "x", is_scaled=True)
    table = TableReader(layout, {"input": (column,)}, {"y": TargetColumn("x", None, False)}, ("day", "x"))
    windows = SeriesReader(table, "day", None, 3, 1, True)
    frame.to_csv(tmp_path / "s.csv", index=False)
    expected, names = windows.raw_inputs([tmp_path / "s.csv"])
    intake = SeriesIntake(UNUSED, LIMITS, windows)
    taken = intake.take(Rows(frame.to_dict("records")))
    np.testing.assert_array_equal(taken.values, expected)
    assert [f"s.csv{name.removeprefix('rows')}" for name in taken.names] == names
    with pytest.raises(RefusedError, match="has 2 rows, but a window needs 3"):
        intake.take(Rows(frame.to_dict("records")[:2]))
    assert len(intake.take(Rows(intake.describe()["example"]["rows"]))) == 1


def test_several_inputs_are_objects_by_their_names() -> None:
    expected = {"user": Expected((), "int32", None), "picture": Expected((2, 2), "uint8", None)}
    intake = NumbersIntake(UNUSED, LIMITS, expected)
    rows = [{"user": 3, "picture": [[1, 2], [3, 4]]}, {"user": 4, "picture": [[0, 0], [0, 255]]}]
    values = intake.take(Rows(rows)).values
    assert values["user"].tolist() == [3, 4]
    assert (values["picture"].shape, values["picture"].dtype) == ((2, 2, 2), np.uint8)
    assert len(intake.take(Rows(intake.describe()["example"]["rows"]))) == 1
    for changed, words in (({"user": 1.5}, "fraction"), ({"users": 1}, "no `user`"), ({"user": 3}, "no `picture`")):
        with pytest.raises(RefusedError, match=words):
            intake.take(Rows([changed if len(words) > 9 else {**changed, "picture": [[0, 0], [0, 0]]}]))


def test_columns_of_a_plain_table_are_found_by_name() -> None:
    intake = NumbersIntake(UNUSED, LIMITS, Expected((2,), "float32", ("long", "wide")))
    assert intake.take(Rows([{"wide": 2, "long": 1.5, "more": "x"}])).values.tolist() == [[1.5, 2.0]]
    assert intake.take(Rows([[1.5, 2]])).values.tolist() == [[1.5, 2.0]]
    with pytest.raises(RefusedError) as caught:
        intake.take(Rows([{"lng": 1, "wide": 2}]))
    assert (caught.value.message, caught.value.hint) == ("The request, row 1, has no `long`.", "Did you mean `lng`?")


@pytest.fixture(scope="module")
def table_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a table with numbers, categories and missing values, with two outputs."""
    folder = tmp_path_factory.mktemp("table")
    lines = [f"{number % 7},{'ab'[number % 2]},{'' if number % 5 else 'x'},{number % 3},{'no' if number % 2 else 'yes'}"
             for number in range(60)]  # fmt: skip
    (folder / "t.csv").write_text("\n".join(["n,kind,gap,size,answer", *lines]) + "\n", encoding="utf-8")
    (folder / "t.yaml").write_text(
        """name: table
dataset:
  source: {csv: {path: t.csv, target: [answer, size], columns: {size: number}}}
  test: 0.2
model:
  layers:
    - Dense: {units: 4, activation: relu}
      name: hidden
    - Dense: {units: 1, activation: sigmoid}
      name: answer
      inputs: hidden
    - Dense: {units: 1}
      name: size
      inputs: hidden
  outputs: [answer, size]
loss: {answer: binary_crossentropy, size: mean_squared_error}
optimizer: Adam
train: {epochs: 1}
""",
        encoding="utf-8",
    )
    assert run_quietly("train", folder / "t.yaml", "--runs-dir", folder / "runs", "--run-name", "one", "--quiet") == 0
    (folder / "t.csv").unlink()
    return folder / "runs" / "table" / "one"


def test_a_table_is_answered_as_predict_does(dlcli: Command, table_run: Path, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("n,kind,gap\n3,a,x\n,b,\n5.5,other,x\n", encoding="utf-8")
    expected = dlcli("predict", table_run, tmp_path / "new.csv", "--json").json
    limits = replace(LIMITS, waiting=50)
    application = Application(
        Served(open_checkpoint(table_run / "checkpoints" / "best.h5"), Choices(), limits), limits, print
    )
    ask = asker(application)
    rows = [
        {"n": 3, "kind": "a", "gap": "x"},
        {"n": None, "kind": "b", "gap": ""},
        {"n": "5.5", "kind": "other", "gap": "x"},
    ]
    found = ask(json={"rows": rows}).json()["predictions"]
    uploaded = ask(files={"file": ("new.csv", (tmp_path / "new.csv").read_bytes())}).json()["predictions"]
    assert [row["input"] for row in uploaded] == [row["input"] for row in expected]
    for row, same, other in zip(found, uploaded, expected, strict=True):
        assert row["answer"] == same["answer"] == other["answer"]
        for name in ("answer_probability", "size"):
            assert row[name] == pytest.approx(other[name], abs=1e-6)
            assert same[name] == pytest.approx(other[name], abs=1e-6)
        assert row["answer_probabilities"][row["answer"]] == row["answer_probability"]
        assert "size_probabilities" not in row
    wrong = ask(json={"rows": [{"n": "many", "kind": "a", "gap": "x"}]})
    assert (wrong.status_code, wrong.json()["hint"]) == (422, "Send null for a value that is missing.")
    takes = ask("/metadata", "GET").json()["takes"]
    assert [column["name"] for column in takes["columns"]] == ["n", "kind", "gap"]
    assert ask(json=takes["example"]).status_code == 200

    async def many() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(application.app), base_url="http://here") as client:
            bodies = [
                [rows[number % 3]] if number != 7 else [{"n": "many", "kind": "a", "gap": ""}] for number in range(30)
            ]
            return await asyncio.gather(*(client.post("/predict", json=body) for body in bodies))

    answers = asyncio.run(many())
    assert [answer.status_code for answer in answers] == [422 if number == 7 else 200 for number in range(30)]
    sizes = [answer.json()["predictions"][0]["size"] for number, answer in enumerate(answers) if number != 7]
    assert sizes == pytest.approx([expected[number % 3]["size"] for number in range(30) if number != 7], abs=1e-6)
    application.close()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def exchange(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """Send parts and read to the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        found = b""
        try:
            for part in parts:
                client.sendall(part)
                time.sleep(pause)
            while part := client.recv(65536):
                found += part
        except (BrokenPipeError, ConnectionResetError):
            pass
        return found


def test_the_command_serves_until_a_signal_comes(dlcli: Command, small_run: Path) -> None:
    port, found, problems = free_port(), {}, []
    body = json.dumps(pixels().tolist()).encode()
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

    def client() -> None:
        try:
            for _ in range(600):
                try:
                    found["health"] = httpx.get(f"http://127.0.0.1:{port}/health", timeout=60)
                    break
                except httpx.HTTPError:
                    time.sleep(0.1)
            found["predict"] = httpx.post(f"http://127.0.0.1:{port}/predict", json=pixels().tolist(), timeout=60)
            found["large"] = exchange(port, head + b"Content-Length: 1000000000\r\n\r\n", b"[" * 1_000_000)
            chunk = b"10000\r\n" + b"[" * 65_536 + b"\r\n"
            found["chunks"] = exchange(port, head + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 24)
            body_head = head + b"Content-Length: 99\r\n\r\n"
            slow = {"header": [b"POST /pre"], "body": [body_head + b"["], "drops": [body_head, *[b"["] * 20]}
            with ThreadPoolExecutor() as threads:
                late = {name: threads.submit(exchange, port, *parts, pause=0.1) for name, parts in slow.items()}
            found.update({name: answer.result() for name, answer in late.items()})
            unread = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            found["unread"] = exchange(port, unread, *[chunk] * 3)
            found["garbage"] = exchange(port, b"\x16\x03\x01\x02\r\n\r\n")
            found["bad chunk"] = exchange(port, head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")
            last = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
            found["last"] = exchange(port, last + last.replace(b"Host: x", b"Host: x\r\nConnection: close"))
        except Exception as error:  # noqa: BLE001 - it is raised in the test's own thread
            problems.append(error)
        finally:
            signal.pthread_kill(main, signal.SIGTERM)

    main = threading.main_thread().ident or 0
    thread = threading.Thread(target=client)
    thread.start()
    done = dlcli("serve", small_run, "--port", port, "--max-body", 1, "--patience", 1.5)
    thread.join()
    assert problems == []
    assert done.code == 143
    assert f"http://127.0.0.1:{port}" in done.err
    assert "fault" not in done.err
    assert found["health"].json() == {"status": "ok"}
    assert len(found["predict"].json()["predictions"]) == 3
    for name in ("large", "chunks"):
        assert found[name].startswith(b"HTTP/1.1 413 "), name
    assert found["unread"].startswith(b"HTTP/1.1 405 ")
    for name in ("header", "body", "drops"):
        assert found[name].startswith(b"HTTP/1.1 408 Request Timeout"), name
        assert b"came too slowly" in found[name]
    for name in ("garbage", "bad chunk"):
        assert found[name].startswith(b"HTTP/1.1 400 "), name
    assert found["last"].count(b"HTTP/1.1 200 OK") == 2


def test_what_cannot_be_served_is_told_at_once(
    dlcli: Command, small_run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = dlcli("serve", small_run, "--port", port)
        assert (done.code, f"Port {port} of 127.0.0.1 is in use" in done.err) == (2, True)
    done = dlcli("serve", small_run, "--host", "203.0.113.1", "--port", 0)
    assert (done.code, "Port 0 of 203.0.113.1 cannot be used" in done.err) == (2, True)
    assert dlcli("serve", tmp_path / "none", "--port", 0).code == 4
    monkeypatch.setattr("dlcli.cli.serve.find_spec", lambda name: None if name == "uvicorn" else name)
    done = dlcli("serve", small_run)
    assert done.code == 2
    assert "needs uvicorn, which is not there" in done.err
    assert "pip install 'dlcli[serve]'" in done.err
