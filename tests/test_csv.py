"""Tables of one's own: what their columns become, what is told of bad ones, and that predictions see the same."""

from __future__ import annotations

import gzip
import json
import runpy
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data.columns import Category, Date, Index, Number, Text, restore_column
from tests.conftest import (
    CONFIGS,
    DATA_DIR,
    OF_FILES,
    Command,
    known_spec,
    run_quietly,
    skip_without_files,
    some_of,
    thorough,
)

pd = pytest.importorskip("pandas")
needs_data = pytest.mark.skipif(not DATA_DIR, reason="DLCLI_DATA_DIR does not say where the tables are")
ROWS = [(i % 7 + 0.5, "red" if i % 3 else "blue", "cat" if i % 2 else "dog") for i in range(40)]
GOOD = "size,colour,kind\n" + "".join(f"{size},{colour},{kind}\n" for size, colour, kind in ROWS)
SPEC = """
name: pets
seed: 1
dataset:
  source: {csv: {path: t.csv, target: kind}}
  validation: 0.2
  batch_size: 4
model:
  layers: [Dense: {units: 4, activation: relu}, Dropout: {rate: 0.1}, Dense: {units: 2, activation: softmax}]
loss: sparse_categorical_crossentropy
metrics: [accuracy]
train: {epochs: 3}
"""


def write(folder: Path, table: str | bytes | None = GOOD, spec: str = SPEC, name: str = "t.csv") -> Path:
    folder.mkdir(exist_ok=True)
    if table is not None:
        (folder / name).write_bytes(table if isinstance(table, bytes) else table.encode())
    path = folder / "pets.yaml"
    path.write_text(spec, encoding="utf-8")
    return path


def with_source(more: str, spec: str = SPEC) -> str:
    return spec.replace("target: kind", f"target: kind, {more}")


def for_numbers(spec: str = SPEC) -> str:
    spec = spec.replace("units: 2, activation: softmax", "units: 1").replace("[accuracy]", "[mean_absolute_error]")
    return spec.replace("sparse_categorical_crossentropy", "mean_squared_error")


BAD: dict[str, tuple[str | bytes | None, str, str]] = {
    "missing file": (None, SPEC, "There is no t.csv"),
    "empty": ("", SPEC, "is empty"),
    "blank lines": ("\n\n\n", SPEC, "is empty"),
    "only a header": ("size,colour,kind\n", SPEC, "has no rows"),
    "missing column": (GOOD.replace("kind", "sort"), SPEC, "has no column `kind`"),
    "misspelt column": (GOOD, with_source("features: [siez]"), "Did you mean `size`?"),
    "unknown column described": (GOOD, with_source("columns: {weight: number}"), "has no column `weight`"),
    "unknown column routed": (GOOD, with_source("inputs: {a: [weight]}"), "has no column `weight`"),
    "one class": (GOOD.replace("dog", "cat"), SPEC, "every row has the same `kind`, cat"),
    "class of one": (GOOD + "1,red,cow\n", SPEC, "cow has 1"),
    "more classes than rows": ("a,kind\n" + "".join(f"{i / 3},c{i}\n" for i in range(5)), SPEC, "at least 2 examples"),
    "longer row": (GOOD + "1,2,3,4\n", SPEC, "Expected 3 fields in line 42, saw 4"),
    "shorter row": (GOOD + "1,red\n", SPEC, "line 42 has 2 values, but there are 3 columns"),
    "rows longer than the header": ("size,colour,kind\n" + "1,2,red,cat\n" * 30, SPEC, "more values than there are"),
    "other encoding": (GOOD.replace("red", "grün").encode("latin-1"), SPEC, "is not written in utf-8"),
    "unknown encoding": (GOOD, with_source("encoding: utf-9"), "unknown encoding: utf-9"),
    "bytes": (bytes(range(256)) * 4, SPEC, "has a byte of 0, which is no text"),
    "word among numbers": (GOOD.replace("2.5", "two"), SPEC, "has numbers, but for"),
    "infinity": (GOOD.replace("2.5", "inf"), SPEC, "not a finite number"),
    "constant target": (GOOD.replace("cat", "3").replace("dog", "3"), for_numbers(), "`kind` is 3 in every row"),
    "infinite target": (GOOD.replace("cat", "3").replace("dog", "inf"), for_numbers(), "not a finite number"),
    "fractions as classes": (GOOD.replace("cat", "3.5").replace("dog", "1.25"), SPEC, "numbers with a fraction"),
    "two columns of a name": (GOOD.replace("colour", "size"), SPEC, "two columns with the name `size`"),
    "no header": ("\n".join(f"{i},{i * 2},{i % 2}" for i in range(30)), SPEC, "begins with numbers"),
    "header of other length": (GOOD, with_source("header: [a, b]"), "has 3 columns, but `header` names 2"),
    "open quote": (GOOD + '1,"red,cat\n', SPEC, "line 42: a quote begins there that does not end"),
    "only row numbers": ("a,kind\n" + "".join(f"{i},{'xy'[i % 2]}\n" for i in range(30)), SPEC, "it numbers the rows"),
    "words as numbers": (GOOD, with_source("columns: {colour: number}"), "row 1 has `blue`"),
    "words as dates": (GOOD, with_source("columns: {colour: date}"), "which is no date"),
    "text among others": (GOOD, with_source("columns: {colour: text}"), "needs an input of its own"),
    "no target anywhere": (GOOD.replace("cat", "").replace("dog", ""), SPEC, "no row has a value of `kind`"),
    "test set is missing": (GOOD, with_source("test_path: u.csv"), "There is no u.csv"),
    "folder": (None, SPEC.replace("t.csv", "."), "is a folder"),
    "no gzip": (b"no", SPEC.replace("t.csv", "t.csv.gz"), "There is no t.csv.gz"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_tables_are_told_at_their_place(dlcli: Command, tmp_path: Path, name: str) -> None:
    table, spec, message = BAD[name]
    done = dlcli("check", write(tmp_path, table, spec))
    assert done.code == 3, done.err
    flat = " ".join(f"{done.out} {done.err}".split())
    assert message in flat
    assert "Traceback" not in flat
    assert "pets.yaml:5:" in flat  # where the source is written


def test_training_says_the_same_and_leaves_nothing(dlcli: Command, tmp_path: Path) -> None:
    spec = write(tmp_path, GOOD.replace("dog", "cat"))
    done = dlcli("train", spec, "--runs-dir", tmp_path / "runs")
    assert done.code == 3
    assert "every row has the same `kind`" in done.err
    assert not list((tmp_path / "runs").glob("*"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("columns: {colour: categroy}", "must be one of `number`, `category`"),
        ("columns: {colour: {number: {length: 3}}}", "must be one of `number`, `category`"),
        ('separator: "::"', "must be one character"),
        ("sperator: ';'", "Did you mean `separator`?"),
        ("features: []", "must not be empty"),
        ("features: [kind, size]", "the model would only copy it"),
        ("decimal: ';'", "decimal"),
    ],
)
def test_mistakes_in_the_source_are_the_spec_s(dlcli: Command, tmp_path: Path, more: str, message: str) -> None:
    done = dlcli("check", write(tmp_path, spec=with_source(more)))
    assert done.code == 2
    assert message in " ".join(f"{done.out} {done.err}".split())


def test_without_a_target_only_an_autoencoder_can_be_trained(dlcli: Command, tmp_path: Path) -> None:
    spec = SPEC.replace(", target: kind", "")
    assert "needs `target`" in dlcli("check", write(tmp_path, spec=spec)).out
    own = for_numbers(spec).replace("batch_size: 4", "batch_size: 4\n  labels: input")
    own = own.replace("Dense: {units: 1}", "Dense: {units: 5}")  # size, two colours, two kinds
    done = dlcli("train", write(tmp_path, spec=own), "--runs-dir", tmp_path, "-q")
    assert done.code == 0, done.err


def test_static_check_needs_no_file(dlcli: Command, tmp_path: Path) -> None:
    assert dlcli("check", "--static", write(tmp_path, None)).code == 0


def test_the_number_of_classes_is_told_by_the_table(dlcli: Command, tmp_path: Path) -> None:
    done = dlcli("check", write(tmp_path, spec=SPEC.replace("units: 2", "units: 3")))
    assert done.code == 2
    assert "The data has 2 classes, but the model has 3 outputs." in done.out


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("csv")
    table = GOOD.replace("1.5,", ",", 2)  # two sizes are missing
    assert run_quietly("train", write(folder, table), "--runs-dir", folder / "runs", "--run-name", "one", "-q") == 0
    return folder


def test_predictions_on_raw_rows_are_those_of_evaluation(dlcli: Command, trained: Path, tmp_path: Path) -> None:
    everything = {}
    for split in ("train", "validation", "test"):
        rows = dlcli("predict", trained / "runs/pets/one", "--split", split, "--json").json
        everything[split] = sorted((row["class"], row["probability"]) for row in rows)
    checkpoint = tmp_path / "moved.h5"
    shutil.copy(trained / "runs/pets/one/checkpoints/best.h5", checkpoint)
    table = tmp_path / "rows.csv"
    lines = (trained / "t.csv").read_text().splitlines()
    # Without what is asked for, in another order of columns.
    table.write_text("\n".join(",".join((line.split(",")[1], line.split(",")[0])) for line in lines))
    rows = dlcli("predict", checkpoint, table, "--json").json
    assert len(rows) == 40
    given = sorted((row["class"], row["probability"]) for row in rows)
    expected = sorted(row for rows in everything.values() for row in rows)
    assert [name for name, _ in given] == [name for name, _ in expected]
    assert [share for _, share in given] == pytest.approx([share for _, share in expected], abs=1e-6)


def test_the_checkpoint_finds_its_table_again(dlcli: Command, trained: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "moved.h5"
    shutil.copy(trained / "runs/pets/one/checkpoints/best.h5", checkpoint)
    recorded = json.loads((trained / "runs/pets/one/metrics.json").read_text())["test"]
    assert dlcli("evaluate", checkpoint, "--json").json["metrics"] == pytest.approx(recorded, abs=1e-6)


def test_other_rows_are_prepared_by_the_training_s(dlcli: Command, trained: Path, tmp_path: Path) -> None:
    """Only large sizes, and a colour that no training row has: what they become does not depend on each other."""
    table = "size,colour,kind\n" + "".join(f"{i % 2 + 5.5},green,{'cat' if i % 2 else 'dog'}\n" for i in range(20))
    other = write(tmp_path / "other", table)
    done = dlcli("predict", trained / "runs/pets/one", "--data", other, "--split", "test", "--json")
    assert done.code == 0, done.err
    raw = tmp_path / "raw.csv"
    raw.write_text("colour,size\ngreen,5.5\ngreen,6.5\n")
    known = {row["probability"] for row in dlcli("predict", trained / "runs/pets/one", raw, "--json").json}
    assert {row["probability"] for row in done.json} <= known


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("size\n1\n", "has no column `colour`"),
        ("size,colour\nlarge,red\n", "row 1 has `large`"),
        ("", "is empty"),
        ("size,colour\n", "has no rows"),
    ],
)
def test_bad_rows_to_predict_are_told(dlcli: Command, trained: Path, tmp_path: Path, table: str, message: str) -> None:
    raw = tmp_path / "raw.csv"
    raw.write_text(table)
    done = dlcli("predict", trained / "runs/pets/one", raw)
    assert done.code == 3
    assert message in done.err


def test_a_class_that_only_the_test_set_has_is_told(dlcli: Command, tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_text("size,colour,kind\n1,red,cow\n2,red,cat\n")
    done = dlcli("check", write(tmp_path, spec=with_source("test_path: u.csv")))
    assert done.code == 3
    assert "`kind` has `cow`, which no training row has. Known are: cat, dog." in " ".join(done.out.split())


def test_a_test_set_of_its_own_is_used_whole(dlcli: Command, tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_text("size,colour,kind\n1,red,dog\n2,red,cat\n3,blue,cat\n")
    spec = write(tmp_path, spec=with_source("test_path: u.csv"))
    assert run_quietly("train", spec, "--runs-dir", tmp_path, "-q") == 0
    record = json.loads((tmp_path / "pets/latest/run.json").read_text())
    assert record["data"]["examples"] == {"train": 32, "validation": 8, "test": 3}


def test_rows_without_an_answer_are_left_out_and_counted(dlcli: Command, tmp_path: Path) -> None:
    done = dlcli("check", write(tmp_path, GOOD + "1,red,\n2,blue,NA\n"))
    assert "2 of 42 rows have no `kind`, and are left out." in done.err


def test_what_is_left_out_is_told(dlcli: Command, tmp_path: Path) -> None:
    lines = GOOD.splitlines()
    table = "\n".join([f"{lines[0]},id,same,who", *(f"{line},{i},x,n{i}" for i, line in enumerate(lines[1:]))])
    told = dlcli("check", write(tmp_path, table)).err
    assert "`id` is left out: it numbers the rows" in told
    assert "`same` is left out: all its values are `x`" in told
    assert "`who` is left out: " in told


def test_what_the_spec_names_goes_in(tmp_path: Path) -> None:
    lines = GOOD.splitlines()
    table = "\n".join([f"{lines[0]},id", *(f"{line},{i}" for i, line in enumerate(lines[1:]))])
    dataset, _ = known_spec(write(tmp_path, table, with_source("features: [id, size]"))).data[0]
    assert dataset.feature_names[0] == "id"


def test_layouts_that_people_have(tmp_path: Path) -> None:
    """The same table, written in other ways, gives the same numbers."""
    german = GOOD.replace(",", ";").replace(".", ",")
    ways: dict[str, tuple[str | bytes, str, str]] = {
        "plain": (GOOD, "t.csv", ""),
        "semicolons, decimal commas, CRLF": (german.replace("\n", "\r\n"), "t.csv", ", decimal: ','"),
        "tabs": (GOOD.replace(",", "\t"), "t.tsv", ""),
        "gzip": (gzip.compress(GOOD.encode()), "t.csv.gz", ""),
        "byte order mark": (b"\xef\xbb\xbf" + GOOD.encode(), "t.csv", ""),
        "utf-16": (GOOD.encode("utf-16"), "t.csv", ", encoding: utf-16"),
        "quotes": (GOOD.replace("red", '"red"'), "t.csv", ""),
        "no header": (GOOD.split("\n", 1)[1], "t.csv", ", header: [size, colour, kind]"),
    }
    fingerprints = set()
    for number, (table, name, more) in enumerate(ways.values()):
        folder = tmp_path / str(number)
        spec = write(folder, table, SPEC.replace("t.csv", name).replace("target: kind", f"target: kind{more}"), name)
        fingerprints.add(known_spec(spec).data[0][0].fingerprint)
    assert len(fingerprints) == 1


def test_columns_without_names_are_called_by_number(dlcli: Command, tmp_path: Path) -> None:
    spec = SPEC.replace("target: kind", "target: 3, header: false")
    folder = write(tmp_path, GOOD.split("\n", 1)[1], spec).parent
    assert run_quietly("train", folder / "pets.yaml", "--runs-dir", folder, "-q") == 0
    raw = tmp_path / "raw.csv"
    raw.write_text("1.5,red\n2.5,blue\n")
    assert len(dlcli("predict", folder / "pets", raw, "--json").json) == 2


def test_several_files_are_one_table(dlcli: Command, tmp_path: Path) -> None:
    lines = GOOD.splitlines()
    for name, part in (("a1", lines[1:21]), ("a2", lines[21:])):
        (tmp_path / f"{name}.csv").write_text("\n".join([lines[0], *part]))
    spec = write(tmp_path, None, SPEC.replace("path: t.csv", "path: 'a*.csv'"))
    assert run_quietly("train", spec, "--runs-dir", tmp_path, "-q") == 0
    assert sum(json.loads((tmp_path / "pets/latest/run.json").read_text())["data"]["examples"].values()) == 40


def test_columns_go_into_several_inputs_and_ask_for_several_things(dlcli: Command, tmp_path: Path) -> None:
    table = "user,word,size,kind,price\n" + "".join(
        f"u{i % 5},{'a b c' if i % 2 else 'c d'},{i % 7},{'cat' if i % 2 else 'dog'},{i % 4}.5\n" for i in range(60)
    )
    spec = """
name: pets
dataset:
  source:
    csv:
      path: t.csv
      target: [kind, price]
      columns: {user: index, word: {text: {length: 3, vocabulary: 10}}}
      inputs: {who: user, said: word, rest: [size]}
  batch_size: 8
model:
  layers:
    - {Embedding: {input_dim: 6, output_dim: 2}, inputs: who, name: a}
    - {Embedding: {input_dim: 10, output_dim: 2}, inputs: said}
    - {Flatten: {}, name: b}
    - {Concatenate: {}, inputs: [a, b, rest], name: all}
    - {Dense: {units: 2, activation: softmax}, inputs: all, name: kind}
    - {Dense: {units: 1}, inputs: all, name: price}
loss: {kind: sparse_categorical_crossentropy, price: mean_squared_error}
"""
    path = write(tmp_path, table, spec)
    assert run_quietly("train", path, "--runs-dir", tmp_path, "-q") == 0
    (tmp_path / "raw.csv").write_text("size,word,user\n3,a b c d,u1\n4,z,nobody\n")
    done = dlcli("predict", tmp_path / "pets", tmp_path / "raw.csv", "--json")
    assert done.code == 0, done.err
    rows = done.json
    assert [set(row) for row in rows] == [{"input", "kind", "kind_probability", "price"}] * 2


def test_a_stopped_run_goes_on_to_the_same_bits(dlcli: Command, tmp_path: Path) -> None:
    for name in ("whole", "parts"):
        write(tmp_path / name)
        epochs = ["--epochs", 3] if name == "whole" else ["--epochs", 1]
        run = [tmp_path / name / "pets.yaml", "--runs-dir", tmp_path / name, "--run-name", "one", "-q"]
        assert run_quietly("train", *run, *epochs) == 0
    assert run_quietly("train", "--resume", tmp_path / "parts/pets/one", "--epochs", 3, "-q") == 0
    metrics = [(tmp_path / name / "pets/one/metrics.json").read_text() for name in ("whole", "parts")]
    assert metrics[0] == metrics[1]


def test_changed_tables_are_noticed_on_resuming(dlcli: Command, tmp_path: Path) -> None:
    spec = write(tmp_path)
    assert run_quietly("train", spec, "--runs-dir", tmp_path, "--run-name", "one", "-q") == 0
    (tmp_path / "t.csv").write_text(GOOD.replace("6.5", "9.5"))
    done = dlcli("train", "--resume", tmp_path / "pets/one", "--epochs", 5)
    assert done.code == 4
    assert "fingerprint" in done.err


class TestColumns:
    def test_numbers_are_standardized_by_the_training_rows_alone(self) -> None:
        column = Number.fit("a", pd.Series([1.0, 3.0, np.nan]), "t", is_scaled=True)
        encoded = column.encode(pd.Series([2.0, 4.0, np.nan]), "t")
        assert encoded.tolist() == [[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]]
        assert column.names == ("a", "a missing")

    def test_a_constant_number_is_not_divided_by_nothing(self) -> None:
        assert Number.fit("a", pd.Series([5.0, 5.0]), "t", is_scaled=True).encode(pd.Series([6.0]), "t").tolist() == [
            [1.0]
        ]

    def test_unknown_categories_are_in_no_column(self) -> None:
        column = Category.fit("a", pd.Series(["x", "y", None]))
        assert column.names == ("a=x", "a=y", "a missing")
        assert column.encode(pd.Series(["y", "z", None]), "t").tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 1]]

    def test_whole_numbers_are_the_same_category_with_and_without_a_point(self) -> None:
        column = Category.fit("a", pd.Series([10, 9, 9]))
        assert column.values == ("9", "10")
        assert column.encode(pd.Series([9.0, np.nan]), "t").tolist() == [[1, 0], [0, 0]]

    def test_unknown_indices_are_zero(self) -> None:
        column = Index.fit("a", pd.Series(["x", "y", "y"]), None)
        assert column.encode(pd.Series(["y", "x", "z", None]), "t").tolist() == [2, 1, 0, 0]
        assert Index.fit("a", pd.Series(["x", "y", "y"]), 2).values == ("y",)

    def test_dates_become_parts(self) -> None:
        column = Date.fit("a", pd.Series(["2024-01-31", "2025-12-31"]), "t")
        assert column.names == tuple(f"a {part}" for part in ("year", "month", "day", "day of week", "day of year"))
        assert column.encode(pd.Series(["2024-01-31"]), "t")[0, 0] == -1.0

    def test_words_are_numbered_as_by_keras(self) -> None:
        import keras

        texts = ["Free, free: call 0800!", "call me", "it's late; call"]
        layer = keras.layers.TextVectorization(output_sequence_length=5)
        layer.adapt(texts)
        column = Text.fit("a", pd.Series(texts), 5, None)
        new = [*texts, "call nobody's free friend at 5 o'clock", ""]
        by_keras = [[layer.get_vocabulary()[number] for number in row] for row in np.asarray(layer(new))]
        names = ["", "[UNK]", *column.words]
        assert [[names[number] for number in row] for row in column.encode(pd.Series(new), "t")] == by_keras

    @pytest.mark.parametrize(
        "column",
        [
            Number.fit("a", pd.Series([0.1, 0.3]), "t", is_scaled=True),
            Category.fit("a", pd.Series(["x", "y"])),
            Index.fit("a", pd.Series(["x", "y"]), None),
            Date.fit("a", pd.Series(["2024-01-31"]), "t"),
            Text.fit("a", pd.Series(["b c"]), None, None),
        ],
        ids=lambda column: column.kind,
    )
    def test_what_was_learned_is_kept_to_the_bit(self, column: Any) -> None:
        assert restore_column(json.loads(json.dumps(column.state()))) == column


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [pytest.param("penguins", 0.97, marks=thorough), ("sms_spam", 0.975)])
def test_shipped_tables_score(tmp_path: Path, name: str, least: float) -> None:
    assert run_quietly("train", CONFIGS / f"{name}.yaml", "--runs-dir", tmp_path, "-q") == 0
    metrics = json.loads((tmp_path / name / "latest/metrics.json").read_text())
    assert metrics["test"]["accuracy"] >= least


@needs_data
def test_stray_quotes_lose_no_row(dlcli: Command) -> None:
    assert sum(dlcli("data", CONFIGS / "sms_spam.yaml", "--json").json["splits"].values()) == 5_574


def data_of_script(text: str, folder: Path) -> dict[str, Any]:
    path = folder / "script.py"
    path.write_text(text[: text.index("\nmodel = ")], encoding="utf-8")
    return runpy.run_path(str(path))


MANY_KINDS = "user,word,size,kind,when,price,floor,colour\n" + "".join(
    f"u{i % 5},{'a b c' if i % 2 else 'c É d'},{i % 7 if i % 9 else ''},{'cat' if i % 2 else 'dog'},"
    f"20{i % 20 + 10}-0{i % 9 + 1}-11,{i % 4}.5,{i % 3},{['red', 'blue', ''][i % 3]}\n"
    for i in range(90)
)
OF_MANY_KINDS = """
name: pets
dataset:
  source:
    csv:
      path: t.csv
      target: [kind, price]
      columns: {user: index, floor: category, word: {text: {length: 3, vocabulary: 10}}}
      inputs: {who: user, said: word, rest: [size, when, floor, colour]}
  validation: 0.2
model:
  layers:
    - {Embedding: {input_dim: 6, output_dim: 2}, inputs: who, name: a}
    - {Embedding: {input_dim: 10, output_dim: 2}, inputs: said}
    - {Flatten: {}, name: b}
    - {Concatenate: {}, inputs: [a, b, rest], name: all}
    - {Dense: {units: 2, activation: softmax}, inputs: all, name: kind}
    - {Dense: {units: 1}, inputs: all, name: price}
loss: {kind: sparse_categorical_crossentropy, price: mean_squared_error}
"""


SCRIPTS = ["pets", "own preparation", "many kinds", "penguins", "mpg", "sms_spam"]


@pytest.mark.parametrize("name", some_of(SCRIPTS, "pets", "own preparation", "many kinds", "mpg"))
def test_the_script_prepares_the_same_numbers(dlcli: Command, tmp_path: Path, name: str) -> None:
    skip_without_files(name)
    if name in OF_FILES:
        path = CONFIGS / f"{name}.yaml"
    elif name == "many kinds":
        path = write(tmp_path, MANY_KINDS, OF_MANY_KINDS)
    else:
        more = "\n  preparation: []" if name == "own preparation" else ""
        path = write(tmp_path, GOOD.replace("1.5,", ",", 2), SPEC.replace("batch_size: 4", f"batch_size: 4{more}"))
    done = dlcli("code", path)
    assert done.code == 0, done.err
    script = data_of_script(done.out, tmp_path)
    dataset, splits = known_spec(path).data[0]
    for split, letter in (("train", "train"), ("validation", "val"), ("test", "test")):
        rows = splits.named(split).indices
        for kind, expected in (("x", dataset.train.inputs), ("y", dataset.train.targets)):
            found = script[f"{kind}_{letter}"]
            for key, array in expected.items() if isinstance(expected, dict) else [(None, expected)]:
                one = found if key is None else found[key]
                np.testing.assert_allclose(np.asarray(one).reshape(array[rows].shape), array[rows], atol=1e-6)


class TestDividing:
    TABLE = "size,colour,kind,who,set,day\n" + "".join(
        f"{size},{colour},{kind},{i // 4},{['train', 'Train', 'val', 'test'][i % 4]},"
        f"2024-{i % 12 + 1:02d}-{i % 5 + 1:02d}\n"
        for i, (size, colour, kind) in enumerate(ROWS)
    )

    def splits(self, folder: Path, more: str, *changes: tuple[str, str]) -> dict[str, Any]:
        spec = with_source(more)
        for old, new in changes:
            assert old in spec
            spec = spec.replace(old, new)
        path = write(folder, self.TABLE, spec)
        _, splits = known_spec(path).data[0]
        table = pd.read_csv(folder / "t.csv")
        return {name: table.iloc[splits.named(name).indices] for name in splits.names}

    def test_a_column_says_it(self, tmp_path: Path) -> None:
        found = self.splits(tmp_path, "split: set", ("  validation: 0.2\n", ""))
        assert {name: set(rows["set"]) for name, rows in found.items()} == {
            "train": {"train", "Train"}, "validation": {"val"}, "test": {"test"}
        }  # fmt: skip

    def test_a_column_that_names_no_rows_for_validation_leaves_them_to_a_fraction(self, tmp_path: Path) -> None:
        text = self.TABLE.replace("val,", "train,")
        assert text != self.TABLE
        path = write(tmp_path, text, with_source("split: set"))
        _, splits = known_spec(path).data[0]
        table = pd.read_csv(tmp_path / "t.csv")
        found = {name: table.iloc[splits.named(name).indices] for name in splits.names}
        assert {name: set(rows["set"]) for name, rows in found.items()} == {
            "train": {"train", "Train"}, "validation": {"train", "Train"}, "test": {"test"}
        }  # fmt: skip
        count = len(found["validation"])
        assert count == round(0.2 * (count + len(found["train"])))

    def test_groups_stay_together(self, tmp_path: Path) -> None:
        found = self.splits(tmp_path, "group: who")
        groups = [set(rows["who"]) for rows in found.values()]
        assert len(set.union(*groups)) == sum(map(len, groups)) == 10
        assert [len(each) for each in groups] == [6, 2, 2]

    def test_the_latest_rows_are_for_testing(self, tmp_path: Path) -> None:
        found = self.splits(tmp_path, "time: day")
        assert found["train"]["day"].max() < found["validation"]["day"].min()
        assert found["validation"]["day"].max() < found["test"]["day"].min()
        assert sum(map(len, found.values())) == 40

    def test_such_columns_do_not_go_in(self, tmp_path: Path) -> None:
        path = write(tmp_path, self.TABLE, with_source("group: who"))
        dataset, _ = known_spec(path).data[0]
        assert {column.name for column in dataset.reader.inputs["input"]} == {"size", "colour", "set", "day"}

    def test_training_and_evaluation_divide_alike(self, dlcli: Command, tmp_path: Path) -> None:
        path = write(tmp_path, self.TABLE, with_source("time: day, features: [size, colour]"))
        assert run_quietly("train", path, "--runs-dir", tmp_path, "-q") == 0
        recorded = json.loads((tmp_path / "pets/latest/metrics.json").read_text())["test"]
        assert dlcli("evaluate", tmp_path / "pets", "--json").json["metrics"] == pytest.approx(recorded, abs=1e-6)

    @pytest.mark.parametrize(
        ("more", "code", "message"),
        [
            ("split: set, group: who", 2, "`split` and `group` both say which rows are held out"),
            ("split: colour", 3, "row 1 has `blue`"),
            ("split: set", 2, "and so does `validation: 0.2`"),
            ("group: same", 3, "all have the same `same`, 1"),
            ("time: colour", 3, "no time"),
            ("time: same", 3, "leaves none for training"),
            ("group: whom", 3, "Did you mean `who`?"),
        ],
    )
    def test_mistakes(self, dlcli: Command, tmp_path: Path, more: str, code: int, message: str) -> None:
        table = "\n".join(f"{line},{'same' if i == 0 else 1}" for i, line in enumerate(self.TABLE.splitlines()))
        done = dlcli("check", write(tmp_path, table, with_source(more)))
        assert done.code == code
        assert message in " ".join(f"{done.out} {done.err}".split())
