"""The source `video`: films of one's own as folders of frames, GIFs and arrays, and what may be wrong with them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlcli.data.dataset import Dataset
from dlcli.data.drawn import motion
from dlcli.data.image_decoding import Form, set_up
from dlcli.data.video_files import FilmForm, films_below, read_film, taken
from dlcli.errors import DataError, SpecError
from tests.conftest import IS_THOROUGH, Command, known_spec

SPEC = """name: films
seed: 5
dataset:
  source: {{video: {source}}}
  test: 0
  {dataset}
  batch_size: 32
model:
  layers:
    - Conv3D: {{filters: 8, kernel_size: 3, activation: relu}}
    - Conv3D: {{filters: 16, kernel_size: 3, activation: relu}}
    - GlobalAveragePooling3D
    - Dense: {{units: {units}, activation: softmax}}
loss: sparse_categorical_crossentropy
optimizer:
  Adam: {{learning_rate: 0.003}}
metrics: [accuracy]
train: {{epochs: {epochs}}}
"""
GREY = FilmForm(6, Form((9, 8), "grayscale", "resize"))
FILM = np.random.default_rng(0).integers(0, 256, (11, 9, 8), dtype=np.uint8)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    set_up()


def write_frames(folder: Path, film: np.ndarray, suffix: str = "png") -> Path:
    folder.mkdir(parents=True)
    for number, frame in enumerate(film):
        Image.fromarray(frame).save(folder / f"frame{number}.{suffix}")
    return folder


def write_gif(path: Path, film: np.ndarray) -> Path:
    frames = [Image.fromarray(frame) for frame in film]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40)
    return path


def write_spec(folder: Path, source: str, dataset: str = "", *, units: int = 2, epochs: int = 1) -> Path:
    path = folder / "films.yaml"
    path.write_text(SPEC.format(source=source, dataset=dataset, units=units, epochs=epochs), encoding="utf-8")
    return path


def known(folder: Path, source: str, dataset: str = "") -> Dataset:
    [(found, _)] = known_spec(write_spec(folder, source, dataset)).data
    assert isinstance(found, Dataset)
    return found


def test_evenly_spaced_frames_are_taken_or_the_last_again() -> None:
    assert taken(4)(4) == [0, 1, 2, 3]
    assert taken(3)(11) == [0, 5, 10]
    assert taken(5)(3) == [0, 1, 2, 2, 2]
    assert taken(1)(9) == [0]


@pytest.mark.parametrize(
    "write",
    [
        lambda to: write_frames(to / "film", FILM),
        lambda to: write_frames(to / "film", FILM, "bmp"),
        lambda to: write_gif(to / "film.gif", FILM),
        lambda to: np.save(to / "film.npy", FILM),
        lambda to: np.save(to / "film.npy", FILM[..., None]),
        lambda to: np.save(to / "film.npy", np.repeat(FILM[..., None], 3, axis=3)),
    ],
    ids=["frames", "other frames", "gif", "array", "array with a channel", "array with colours"],
)
def test_each_way_to_store_a_film_gives_its_pixels(write: Callable[[Path], object], tmp_path: Path) -> None:
    write(tmp_path)
    [path] = films_below(tmp_path)
    pixels = read_film(path, GREY, is_exact=True)
    assert np.array_equal(pixels, FILM[[0, 2, 4, 6, 8, 10], ..., None])
    in_colours = read_film(path, FilmForm(2, Form((9, 8), "rgb", "resize")))
    assert np.array_equal(in_colours, np.repeat(FILM[[0, 10], ..., None], 3, axis=3))
    assert read_film(path, FilmForm(20, Form((4, 4), "rgb", "crop"))).shape == (20, 4, 4, 3)


def two_classes(root: Path) -> Path:
    """Three films of two classes: of seven, of four and of eleven frames."""
    write_frames(root / "up" / "one", FILM[:7])
    (root / "down").mkdir()
    write_gif(root / "down" / "two.gif", FILM[3:7])
    np.save(root / "down" / "three.npy", FILM)
    return root


def test_films_of_every_kind_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    two_classes(tmp_path / "all")
    (tmp_path / "all" / "up" / "notes.txt").write_text("x")
    (tmp_path / "all" / "up" / "one" / "times.csv").write_text("x")
    dataset = known(tmp_path, "{path: all, frames: 5}")
    assert (dataset.kind, dataset.class_names) == ("video", ("down", "up"))
    expected = [FILM[[0, 2, 5, 8, 10]], FILM[[3, 4, 5, 6, 6]], FILM[[0, 2, 3, 4, 6]]]
    assert np.array_equal(dataset.train.inputs, np.stack(expected)[..., None])  # type: ignore[arg-type]
    assert np.array_equal(dataset.train.targets, [0, 0, 1])  # type: ignore[arg-type]
    assert "2 files, such as" in capsys.readouterr().out
    shutil.copytree(tmp_path / "all", tmp_path / "split" / "train")
    shutil.copytree(tmp_path / "all", tmp_path / "split" / "val")
    dataset = known(tmp_path, "{path: split, frames: 2, size: [4, 4], color: rgb}", "validation: folder")
    assert dataset.validation is not None
    assert dataset.train.inputs.shape == (3, 2, 4, 4, 3)  # type: ignore[union-attr]
    coloured = np.stack([FILM, FILM, 255 - FILM], axis=-1)
    write_gif(tmp_path / "all" / "up" / "coloured.gif", coloured)
    assert known(tmp_path, "{path: all, frames: 2}").train.inputs.shape == (4, 2, 9, 8, 3)  # type: ignore[union-attr]


def broken(write: Callable[[Path], object]) -> Callable[[Path], object]:
    def both(folder: Path) -> None:
        two_classes(folder / "all")
        write(folder / "all" / "up")

    return both


BROKEN: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "no folder": (lambda to: None, "{path: all}", "There is no all"),
    "a file": (lambda to: write_gif(to / "a.gif", FILM), "{path: a.gif}", "a.gif is no folder"),
    "no classes": (
        lambda to: write_frames(to / "all" / "film", FILM), "{path: all}", "has the folder of one class only, film",
    ),
    "a film itself": (
        lambda to: write_frames(to / "all", FILM), "{path: all}", "has no folders of classes, but 1 films of none.",
    ),
    "a class without films": (broken(lambda to: (to.parent / "left").mkdir()), "{path: all}", "left has no films. Put"),
    "a bad frame": (
        broken(lambda to: (to / "one" / "frame3.png").write_bytes(b"x")), "{path: all}",
        "up/one is not a film that can be read: its frame frame3.png is no image that can be read: it is none of JPEG",
    ),
    "a bad gif": (
        broken(lambda to: (to / "b.gif").write_bytes(b"GIF89a")), "{path: all}", "b.gif is not a film that can be read",
    ),
    "half a gif": (
        broken(lambda to: (write_gif(to / "b.gif", FILM), os.truncate(to / "b.gif", 400))),
        "{path: all}", "b.gif is not a film that can be read: it ends too early, or is damaged",
    ),
    "numbers": (
        broken(lambda to: np.save(to / "b.npy", FILM / 255)), "{path: all}", "b.npy is not a film that can be read: it "
        "holds float64, and not bytes",
    ),
    "a shape": (broken(lambda to: np.save(to / "b.npy", FILM[0])), "{path: all}", "its shape is 9×8, and not frames"),
    "objects": (
        broken(lambda to: np.save(to / "b.npy", np.asarray([{}]), allow_pickle=True)), "{path: all}",
        "b.npy is not a film that can be read",
    ),
    "no frames": (
        broken(lambda to: (to / "b").mkdir()), "{path: all}",
        "PLACE/all/up/b is not a film that can be read: it has no frames",
    ),
    "another size": (
        broken(lambda to: np.save(to / "b.npy", FILM[:, :4])), "{path: all}",
        "The films differ in size: PLACE/all/up/b.npy is 4×8 pixels (height and width), where 9×8 is that of the first",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_is_told(case: str, tmp_path: Path) -> None:
    write, source, said = BROKEN[case]
    write(tmp_path)
    with pytest.raises(DataError) as caught:
        known(tmp_path, source)
    assert said.replace("PLACE", str(tmp_path)) in " ".join(f"{caught.value.message} {caught.value.hint}".split())


def test_films_that_cannot_be_read_are_left_out_if_the_spec_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = two_classes(tmp_path / "all")
    (root / "down" / "bad.gif").write_bytes(b"x")
    assert len(known(tmp_path, "{path: all, corrupt: skip}").train) == 3
    assert "1 of 4 films cannot be read, and are left out" in capsys.readouterr().out
    with pytest.raises(DataError, match=r"bad\.gif is not a film") as caught:
        known(tmp_path, "{path: all}")
    assert "`corrupt: skip` in `video`" in str(caught.value.hint)


def test_validation_in_a_folder_is_only_for_pictures_and_films(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, "{path: all}", "validation: folder")
    spec.write_text(spec.read_text().replace("video: {path: all}", "motion: {samples: 20}"))
    with pytest.raises(SpecError, match="only `images`, `text` and `video` have it"):
        known_spec(spec)


def write_motion(root: Path, samples: int) -> None:
    """The generated films as folders of frames, a fifth of them to test on."""
    films, directions = motion(samples, frames=8, side=16, noise=25.0, seed=0)
    for number, (film, direction) in enumerate(zip(films, directions, strict=True)):
        name = ("right", "down", "left", "up")[direction]
        write_frames(root / ("test" if number % 5 == 0 else "train") / name / f"{number:04}", film[..., 0])


def test_a_run_from_films_to_predictions(tmp_path: Path, dlcli: Command) -> None:
    """DLCLI_THOROUGH=1 in the environment trains as `motion_conv3d.yaml` does, to the same score."""
    is_thorough = IS_THOROUGH
    data = tmp_path / "data"
    write_motion(data / "films", 2000 if is_thorough else 60)
    dataset = "validation: 0.1" if is_thorough else ""
    spec = write_spec(data, "{path: films, frames: 8}", dataset, units=4, epochs=10 if is_thorough else 1)
    done = dlcli("train", spec, "--runs-dir", tmp_path, "--run-name", "one", "-q")
    assert done.code == 0, done.err
    run = tmp_path / "films" / "one"
    scores = json.loads((run / "metrics.json").read_text())["test"]
    if is_thorough:
        assert scores["accuracy"] >= 0.95
    assert dlcli("evaluate", run, "--json").json["metrics"] == pytest.approx(scores, rel=1e-5)
    by_split = dlcli("predict", run, "--split", "test", "--json").json
    shutil.copytree(data / "films" / "test", tmp_path / "new")
    shutil.copy(run / "checkpoints" / "best.h5", tmp_path / "moved.h5")
    shutil.rmtree(data)
    shutil.rmtree(run)
    predicted = dlcli("predict", tmp_path / "moved.h5", tmp_path / "new", "--json").json
    assert predicted[0]["input"].startswith("down/")
    assert [row["class"] for row in predicted] == [row["class"] for row in by_split]
    np.testing.assert_allclose(
        [row["probability"] for row in predicted], [row["probability"] for row in by_split], atol=1e-6
    )
    film = next((tmp_path / "new" / "up").iterdir())
    frames = np.stack([np.asarray(Image.open(film / f"frame{number}.png")) for number in range(8)])
    np.save(tmp_path / "film.npy", frames)
    [from_folder, from_array] = dlcli("predict", tmp_path / "moved.h5", film, tmp_path / "film.npy", "--json").json
    assert from_folder["probability"] == pytest.approx(from_array["probability"], abs=1e-6)
    (tmp_path / "nothing").mkdir()
    refused = dlcli("predict", tmp_path / "moved.h5", tmp_path / "nothing")
    assert (refused.code, "has no films" in refused.err) == (3, True)
