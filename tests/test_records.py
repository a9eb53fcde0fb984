"""The source `tfrecord`: files of `tf.train.Example`, what becomes of their features, and what is said of bad ones."""

from __future__ import annotations

import gzip
import io
import json
import random
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dlcli.data import record_columns, streaming
from dlcli.data.checksums import crc32c, masked_crc32c
from dlcli.data.dataset import Dataset
from dlcli.data.example_proto import MalformedError, parse_example
from dlcli.data.stored import InFile
from dlcli.errors import DataError
from dlcli.training.stopping import StopRequest
from tests.conftest import Command, known_spec, run_quietly
from tests.killing import compare, outcome

SPEC = """name: own
seed: 1
dataset:
  source: {{tfrecord: {arguments}}}
  test: {test}
  batch_size: 8
model:
  layers: [Flatten, Dense: {{units: {units}, activation: softmax}}]
loss: sparse_categorical_crossentropy
optimizer: {{Adam: {{learning_rate: 0.05}}}}
metrics: [accuracy]
train: {{epochs: 2}}
"""
Y = np.arange(40) % 3
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 6, 5), dtype=np.uint8)
PIXELS[:, 0, 0] = Y * 100
NUMBERS = np.random.default_rng(1).normal(size=(40, 4)).astype("float32")
NAMES = ("blau", "grün", "rot")


def bytes_of(value: bytes) -> Any:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def whole(*values: int) -> Any:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def floats(*values: float) -> Any:
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def message(row: int, **others: Any) -> bytes:
    """A record with everything that can be in one."""
    features = {
        "image": bytes_of(png(PIXELS[row])), "pixels": bytes_of(PIXELS[row].tobytes()),
        "listed": whole(*PIXELS[row].reshape(-1).tolist()), "numbers": floats(*NUMBERS[row]),
        "label": whole(int(Y[row])), "colour": bytes_of(NAMES[Y[row]].encode()),
        "hot": floats(*np.eye(3)[Y[row]]), **others,
    }  # fmt: skip
    features = {name: feature for name, feature in features.items() if feature is not None}
    return bytes(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


def framed(messages: list[bytes]) -> bytes:
    """As TensorFlow writes them."""
    parts = []
    for one in messages:
        header = struct.pack("<Q", len(one))
        sums = masked_crc32c([header, one])
        parts += [header, struct.pack("<I", sums[0]), one, struct.pack("<I", sums[1])]
    return b"".join(parts)


MESSAGES = [message(row) for row in range(40)]
CONTENT = framed(MESSAGES)


def write_spec(folder: Path, arguments: str, *, units: int = 3, test: float = 0.2) -> Path:
    path = folder / "own.yaml"
    path.write_text(SPEC.format(arguments=arguments, units=units, test=test), encoding="utf-8")
    return path


def known(folder: Path, arguments: str) -> Dataset:
    [(dataset, _)] = known_spec(write_spec(folder, arguments)).data
    assert isinstance(dataset, Dataset)
    return dataset


def test_checksums_are_those_of_the_standard_and_of_tensorflow(tmp_path: Path) -> None:
    assert crc32c([b"123456789", b"", b"a"]).tolist() == [0xE3069283, 0, 0xC1D04330]  # RFC 3720 and its tables
    generator = np.random.default_rng(0)
    messages = [generator.bytes(size) for size in (0, 1, 3, 4, 63, 64, 65, 129, 4096, 70_000, 300, 299)]
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        for one in messages:
            writer.write(one)
    assert (tmp_path / "a.tfrecord").read_bytes() == framed(messages)


def any_example(draw: random.Random) -> bytes:
    def feature() -> Any:
        count = draw.choice([0, 1, 1, 3, 200])
        kind = draw.randrange(4)
        if kind == 0:
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[draw.randbytes(9) for _ in range(count)]))
        if kind == 1:
            return floats(*(draw.gauss(0, 1e9) for _ in range(count)))
        return whole(*(draw.randint(-(2**63), 2**63 - 1) >> draw.randrange(64) for _ in range(count)))

    features = {draw.choice(["a", "b", "größe", "x" * 200]): feature() for _ in range(draw.randrange(4))}
    features["none"] = tf.train.Feature()
    return bytes(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


def test_examples_are_parsed_as_by_tensorflow() -> None:
    draw = random.Random(0)
    two_floats_by_themselves = b"\x0d\x00\x00\x80\x3f\x0d\x00\x00\x00\x00\x18\x01"
    unpacked = b"\x0a\x15\x0a\x13\x0a\x01u\x12\x0e\x12\x0c" + two_floats_by_themselves
    for raw in (*(any_example(draw) + any_example(draw) for _ in range(300)), unpacked):
        theirs = tf.train.Example.FromString(raw).features.feature
        ours = parse_example(raw)
        assert ours.keys() == theirs.keys()
        for name, feature in theirs.items():
            kind = feature.WhichOneof("kind")
            assert f"{ours[name].kind}_list" == (kind or "_list")
            if kind is not None:
                assert list(ours[name].values(raw)) == list(getattr(feature, kind).value)


def test_what_is_no_example_is_refused() -> None:
    draw = random.Random(1)
    for _ in range(300):
        raw = bytearray(any_example(draw))
        raw[draw.randrange(len(raw))] = draw.randrange(256)
        del raw[draw.randrange(len(raw)) :]
        try:
            for feature in parse_example(bytes(raw)).values():
                feature.values(bytes(raw))
        except MalformedError:
            pass
    for raw_bytes in (b"\x0a\x05", b"\x0b", b"\x00", b"\xff" * 11, b"\x0a\x05\x0a\x03\x0a\x01\xff"):
        with pytest.raises(MalformedError):
            parse_example(raw_bytes)


def write_shards(folder: Path) -> None:
    (folder / "all").mkdir()
    for shard in range(4):
        part = framed(MESSAGES[10 * shard : 10 * shard + 10])
        (folder / "all" / f"own.tfrecord-0000{shard}-of-00004").write_bytes(part)


WAYS: dict[str, tuple[str, Any]] = {
    "the only picture": ("{path: a.tfrecord}", PIXELS),
    "raw bytes": ("{path: a.tfrecord, features: {x: {feature: pixels, dtype: uint8, shape: [6, 5]}}}", PIXELS),
    "raw bytes without a shape": (
        "{path: a.tfrecord, features: {pixels: {dtype: uint8}}}", PIXELS.reshape(40, 30).astype("float32"),
    ),
    "a list of pixels": ("{path: a.tfrecord, features: {listed: {dtype: uint8, shape: [6, 5]}}}", PIXELS),
    "numbers": ("{path: a.tfrecord, features: numbers}", NUMBERS),
    "a shape": ("{path: a.tfrecord, features: {numbers: {shape: [2, 2]}}}", NUMBERS.reshape(40, 2, 2)),
    "texts": ("{path: a.tfrecord, features: [numbers], target: colour}", NUMBERS),
    "one-hot": ("{path: a.tfrecord, features: [numbers], target: hot}", NUMBERS),
    "gzip": ("{path: a.tfrecord.gz}", PIXELS),
    "zlib": ("{path: z.tfrecord}", PIXELS),
    "zlib, said": ("{path: z.tfrecord, compression: zlib}", PIXELS),
    "shards": ('{path: "all/own.tfrecord-*"}', PIXELS),
    "a folder": ("{path: all, stream: true}", PIXELS),
    "a test set": ("{path: all, test_path: a.tfrecord}", PIXELS),
    "grey made colour": (
        "{path: a.tfrecord, features: {image: {encoding: image, color: rgb}}}", np.repeat(PIXELS[..., None], 3, axis=3),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records")
    (folder / "a.tfrecord").write_bytes(CONTENT)
    (folder / "a.tfrecord.gz").write_bytes(gzip.compress(CONTENT[:1000]) + gzip.compress(CONTENT[1000:]))
    (folder / "z.tfrecord").write_bytes(zlib.compress(CONTENT))
    write_shards(folder)
    return folder


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same_examples(way: str, files: Path) -> None:
    arguments, expected = WAYS[way]
    dataset = known(files, arguments)
    inputs = dataset.train.inputs
    assert isinstance(inputs, InFile if "stream" in arguments else np.ndarray)
    assert np.array_equal(inputs[:], expected)  # type: ignore[call-overload]
    assert np.array_equal(inputs[np.asarray([39, 3, 12])], expected[[39, 3, 12]])  # type: ignore[call-overload]
    assert inputs.dtype == expected.dtype  # type: ignore[union-attr]
    assert np.array_equal(dataset.train.targets, Y)  # type: ignore[arg-type]
    assert dataset.class_names == (NAMES if way == "texts" else ("0", "1", "2"))
    assert (dataset.test is not None) == ("test_path" in arguments)


def test_several_inputs_and_targets(files: Path, tmp_path: Path, dlcli: Command) -> None:
    spec = tmp_path / "several.yaml"
    spec.write_text(
        f"""dataset:
  source:
    tfrecord:
      path: {files}/a.tfrecord
      features: {{picture: {{feature: image, encoding: image, size: [4, 4]}}, numbers: {{kind: points}}}}
      target: {{which: colour, first: label}}
  batch_size: 20
model:
  layers:
    - Rescaling: {{scale: 1.0}}
      inputs: picture
      name: scaled
    - Flatten:
      inputs: scaled
      name: flat
    - Concatenate:
      inputs: [flat, numbers]
      name: both
    - Dense: {{units: 3, activation: softmax}}
      name: which
    - Dense: {{units: 1}}
      name: first
      inputs: both
loss: {{which: sparse_categorical_crossentropy, first: mean_squared_error}}
"""
    )
    assert dlcli("train", spec, "--runs-dir", tmp_path, "--run-name", "one", "-q").code == 0
    run = tmp_path / "several" / "one"
    assert json.loads((run / "run.json").read_text())["data"]["examples"] == {"train": 32, "test": 8}
    rows = dlcli("predict", run, files / "a.tfrecord", "--json").json
    assert len(rows) == 40
    assert rows[0].keys() == {"input", "which", "which_probability", "first"}
    assert {row["which"] for row in rows} <= set(NAMES)


def test_a_stopped_run_comes_to_the_same_bits_and_is_used_without_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dlcli: Command
) -> None:
    monkeypatch.setattr(streaming, "RUN_BYTES", 2000)
    monkeypatch.setattr(streaming, "WINDOW_BYTES", 300)
    data = tmp_path / "data"
    data.mkdir()
    write_shards(data)
    (data / "test.tfrecord").write_bytes(framed(MESSAGES[:9]))
    spec = write_spec(data, "{path: all, test_path: test.tfrecord, stream: true}")
    spec.write_text(spec.read_text().replace("batch_size: 8", "batch_size: 4\n  validation: 0.2"))
    looks, stop = 0, 10**9

    def is_asked(request: StopRequest) -> bool:
        nonlocal looks
        looks += 1
        return looks >= stop

    monkeypatch.setattr(StopRequest, "is_asked", property(is_asked))
    assert run_quietly("train", spec, "--runs-dir", tmp_path, "--run-name", "whole", "-q") == 0
    looks, stop = 0, 5
    assert run_quietly("train", spec, "--runs-dir", tmp_path, "--run-name", "stopped", "-q") == 143
    stop = 10**9
    run = tmp_path / "own" / "stopped"
    assert run_quietly("train", "--resume", run, "-q") == 0
    assert not compare(outcome(tmp_path / "own" / "whole"), outcome(run))
    kept = json.loads((run / "run.json").read_text())["data"]
    assert (kept["fingerprint"].startswith("sampled-"), kept["examples"]["test"]) == (True, 9)
    by_split = dlcli("predict", run, "--split", "test", "--json").json
    moved = tmp_path / "moved.h5"
    shutil.copy(run / "checkpoints" / "best.h5", moved)
    (tmp_path / "new.tfrecord").write_bytes(framed([message(row, label=None) for row in range(9)]))
    (tmp_path / "new.records.gz").write_bytes(gzip.compress((tmp_path / "new.tfrecord").read_bytes()))
    (tmp_path / "one.png").write_bytes(png(PIXELS[2]))
    shutil.rmtree(data)
    for name in ("new.tfrecord", "new.records.gz"):
        predicted = dlcli("predict", moved, tmp_path / name, "--json").json
        assert [row["input"] for row in predicted] == [f"{name}[{row}]" for row in range(9)]
        assert [row["probability"] for row in predicted] == pytest.approx(
            [row["probability"] for row in by_split], abs=1e-6
        )
    [picture] = dlcli("predict", moved, tmp_path / "one.png", "--json").json
    assert picture["probability"] == pytest.approx(by_split[2]["probability"], abs=1e-6)
    gone = dlcli("evaluate", moved)
    assert (gone.code, "There is no all" in gone.err) == (3, True)


def at(number: int) -> int:
    """Where the bytes of a record begin."""
    return sum(len(one) + 16 for one in MESSAGES[:number]) + 12


def changed(place: int, content: bytes = CONTENT) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def with_third(**features: Any) -> bytes:
    return framed([*MESSAGES[:2], message(2, **features), *MESSAGES[3:]])


BROKEN: dict[str, tuple[bytes | None, str, str]] = {
    "empty": (b"", "{path: a.tfrecord}", "a.tfrecord has no records."),
    "no such file": (None, "{path: b.tfrecord}", "There is no b.tfrecord"),
    "another kind": (b"x" * 500, "{path: a.tfrecord}", "is no TFRecord file: it does not begin with the length"),
    "a packed one of another kind": (
        gzip.compress(b"x" * 500), "{path: a.tfrecord}", "is no TFRecord file: it does not begin with the length",
    ),
    "packed, and said not to be": (
        gzip.compress(CONTENT), "{path: a.tfrecord, compression: none}", "is no TFRecord file: it does not begin with",
    ),
    "not packed": (CONTENT, "{path: a.tfrecord, compression: gzip}", "is not a whole file of gzip data"),
    "half packed": (zlib.compress(CONTENT)[:-9], "{path: a.tfrecord}", "not a whole file of zlib"),
    "packed and streamed": (
        zlib.compress(CONTENT), "{path: a.tfrecord, compression: zlib, stream: true}",
        "is in compressed files, so that it can only be read as a whole",
    ),
    "cut off": (
        CONTENT[:-20], "{path: a.tfrecord}", f"of record 39, counted from 0, at byte {at(39) - 12}, it is cut off",
    ),
    "a changed length": (
        changed(at(7) - 12), "{path: a.tfrecord}", f"of record 7, counted from 0, at byte {at(7) - 12}, its length",
    ),
    "a changed byte": (
        changed(at(7) + 60), "{path: a.tfrecord}",
        f"Record 7 of PLACE/a.tfrecord, counted from 0, at byte {at(7) - 12}, is damaged: its checksum",
    ),
    "the first one changed": (changed(at(0) + 60), "{path: a.tfrecord}", "Record 0 of PLACE/a.tfrecord, counted from"),
    "no examples": (framed([b"\xff" * 30] * 9), "{path: a.tfrecord}", "it is no tf.train.Example: the number that"),
    "no example among them": (
        framed([*MESSAGES[:5], b"\xff" * 30]), "{path: a.tfrecord}", "Record 5 of PLACE/a.tfrecord, counted from 0, at",
    ),
    "a SequenceExample": (
        framed([b"\x12\x05\x0a\x03\x0a\x01a"] * 9), "{path: a.tfrecord}", "There is no feature at all: a tf.train.Seq",
    ),
    "no picture among them": (
        with_third(image=bytes_of(b"\xff\xd8\xff" + b"x" * 90)), "{path: a.tfrecord}",
        "`image` has no picture that can be read",
    ),
    "another size": (
        with_third(image=bytes_of(png(PIXELS[2, :4]))), "{path: a.tfrecord}",
        "`image` is a picture of 4×5 pixels (height and width), where the first has 6×5. Say to which size",
    ),
    "fewer bytes": (
        with_third(pixels=bytes_of(b"x")), "{path: a.tfrecord, features: {pixels: {dtype: uint8, shape: [6, 5]}}}",
        "`pixels` has 1 bytes, where 30 are needed for 6×5 of uint8. In every record",
    ),
    "other lengths": (
        with_third(numbers=floats(1, 2)), "{path: a.tfrecord, features: numbers}",
        "`numbers` has 2 numbers, where 4 are needed (4). In every record it is to have the size of the first",
    ),
    "too large for its type": (
        with_third(listed=whole(*range(271, 301))), "{path: a.tfrecord, features: {listed: {dtype: uint8}}}",
        "`listed` has the value 271, which is none of uint8",
    ),
    "not finite": (
        with_third(numbers=floats(1, 2, float("nan"), 3)), "{path: a.tfrecord, features: numbers}",
        f"record 2 of PLACE/a.tfrecord, counted from 0, at byte {at(2) - 12}, has the value NaN",
    ),
    "no label": (with_third(label=None), "{path: a.tfrecord}", "`label` is not in it. Leave such records out"),
    "two labels": (with_third(label=whole(1, 2)), "{path: a.tfrecord}", "`label` has 2 numbers, where 1 are needed"),
    "a text for a label": (with_third(label=bytes_of(b"1")), "{path: a.tfrecord}", "`label` has"),
    "a feature that is not there": (
        CONTENT, "{path: a.tfrecord, features: {x: {feature: imaeg}}}", "has no feature `imaeg`. Did you mean `image`?",
    ),
    "no usual target": (
        framed([message(0, label=None)]), "{path: a.tfrecord}", "has none of the features `label`, `labels`",
    ),
    "several that could go in": (
        framed([message(0, image=None)]), "{path: a.tfrecord, target: colour}",
        "several features that could go in: `hot`, `label`, `listed`, `numbers`",
    ),
    "bytes of nobody knows what": (
        CONTENT, "{path: a.tfrecord, features: pixels}", "has 30 bytes, which are no picture: it must be said what",
    ),
    "a target that goes in": (CONTENT, "{path: a.tfrecord, features: label}", "goes in as well"),
    "tested on what it is trained on": (
        CONTENT, "{path: a.tfrecord, test_path: a.tfrecord}", "is both to train and to test on",
    ),
    "a wrong shape": (
        CONTENT, "{path: a.tfrecord, features: {numbers: {shape: [3, 3]}}}", "has 4 numbers, but `shape` says 3×3",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_is_told(case: str, tmp_path: Path) -> None:
    content, arguments, said = BROKEN[case]
    if content is not None:
        (tmp_path / "a.tfrecord").write_bytes(content)
    with pytest.raises(DataError) as caught:
        known(tmp_path, arguments)
    assert said.replace("PLACE", str(tmp_path)) in " ".join(f"{caught.value.message} {caught.value.hint}".split())


SKIPPED: dict[str, tuple[Callable[[], bytes], list[int], str]] = {
    "a changed byte": (lambda: changed(at(7) + 60), [7], "1 of 40 records are damaged, and are left out: record 7 of"),
    "the first one": (lambda: changed(at(0) + 60), [0], "record 0 of"),
    "no picture": (lambda: with_third(image=bytes_of(b"")), [2], "`image` has no picture that can be read"),
    "the end": (lambda: CONTENT[:-20], [39], "it is cut off, or its length is damaged: it and all behind it is left"),
    "a length": (lambda: changed(at(30) - 12), list(range(30, 40)), "of record 30, counted from 0"),
}


@pytest.mark.parametrize("case", SKIPPED)
def test_damaged_records_are_left_out_if_the_spec_says_so(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, lost, said = SKIPPED[case]
    (tmp_path / "a.tfrecord").write_bytes(content())
    dataset = known(tmp_path, "{path: a.tfrecord, corrupt: skip}")
    left = np.setdiff1d(np.arange(40), lost)
    assert np.array_equal(dataset.train.inputs, PIXELS[left])  # type: ignore[arg-type]
    assert np.array_equal(dataset.train.targets, Y[left])  # type: ignore[arg-type]
    assert said in capsys.readouterr().out


def test_a_record_that_is_damaged_later_is_told_when_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.tfrecord").write_bytes(CONTENT)
    inputs = known(tmp_path, "{path: a.tfrecord, stream: true}").train.inputs
    (tmp_path / "a.tfrecord").write_bytes(changed(at(7) + 60))
    with pytest.raises(DataError, match=r"Record 7 of .* is damaged"):
        inputs[np.arange(5, 9)]  # type: ignore[call-overload]
    (tmp_path / "a.tfrecord").write_bytes(CONTENT[:500])
    with pytest.raises(DataError, match="has become shorter"):
        inputs[np.arange(5, 9)]  # type: ignore[call-overload]


@pytest.mark.parametrize("stream", ["false", "true"])
def test_all_features_are_read_in_one_pass(stream: str, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []
    parse = record_columns.parse_example
    monkeypatch.setattr(record_columns, "parse_example", lambda raw, names: parsed.append(raw) or parse(raw, names))
    dataset = known(files, f"{{path: a.tfrecord, features: [numbers], target: colour, stream: {stream}}}")
    assert np.array_equal(dataset.train.targets, Y)
    assert parsed[:40] == MESSAGES
    assert len(parsed) == 40 or stream == "true"  # rows of what stays in the file are in the fingerprint
    assert np.array_equal(dataset.train.inputs[:], NUMBERS)


def test_only_headers_are_read_before_rows_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.tfrecord").write_bytes(changed(at(7) + 60))
    from dlcli.data.record_files import open_records

    assert len(open_records([tmp_path / "a.tfrecord"], None)) == 40
