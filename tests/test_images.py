"""The source `images`: pictures of one's own in folders and tables, and what may be wrong with them."""

from __future__ import annotations

import json
import os
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from dlcli.data.class_folders import folders_of_splits
from dlcli.data.dataset import Dataset, named
from dlcli.data.from_images import load_images
from dlcli.data.image_decoding import Form, UnreadableError, appearance, read_picture, set_up
from dlcli.data.image_reader import ImageReader
from dlcli.data.looking import restore_reader
from dlcli.data.splits import Splits
from dlcli.data.where import Where
from dlcli.errors import DataError, DlcliError, SpecError
from dlcli.spec.grammar import Spec
from dlcli.spec.loading import load_spec
from dlcli.spec.sources_images import Images
from dlcli.training.stopping import StopRequest
from tests.conftest import Command, known_spec, run_quietly, shipped_catalogue
from tests.killing import compare, outcome

COLOURS = {"blue": (20, 30, 220), "green": (20, 200, 40), "red": (230, 20, 30)}
SPEC = """
name: pictures
seed: 5
dataset:
  source: {{images: {source}}}
  {dataset}
  batch_size: 8
model:
  layers:
    - Conv2D: {{filters: 4, kernel_size: 3, activation: relu}}
    - GlobalAveragePooling2D
    - Dense: {last}
loss: {loss}
optimizer: {{Adam: {{learning_rate: 0.05}}}}
train: {{epochs: 3}}
"""


@pytest.fixture(autouse=True)
def _quiet() -> None:
    set_up()


def picture(colour: tuple[int, ...], seed: int, size: tuple[int, int] = (12, 10)) -> Image.Image:
    """A noisy picture of that colour, with a bright corner so that it is not the same when turned."""
    noise = np.random.default_rng(seed).integers(-20, 21, (*size, 3))
    pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    pixels[:4, :3] = 255
    return Image.fromarray(pixels)


def class_folders(root: Path, *, each: int = 8, size: tuple[int, int] = (12, 10), suffix: str = "png") -> Path:
    for number, (name, colour) in enumerate(COLOURS.items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        for at in range(each):
            picture(colour, 100 * number + at, size).save(root / name / f"{at}.{suffix}")
    return root


def write_spec(folder: Path, source: str, dataset: str = "test: 0.25", *, units: int = 3, loss: str = "") -> Path:
    path = folder / "pictures.yaml"
    last = f"{{units: {units}, activation: softmax}}" if units > 1 else "{units: 1}"
    usual = "sparse_categorical_crossentropy" if units > 1 else "mean_squared_error"
    path.write_text(SPEC.format(source=source, dataset=dataset, last=last, loss=loss or usual), encoding="utf-8")
    return path


def load(
    folder: Path, source: str, dataset: str = "test: 0", *, reader: ImageReader | None = None, units: int = 3
) -> tuple[Dataset, Splits, list[str]]:
    """The data of a spec in that folder, and what a person is told."""
    told: list[str] = []
    loaded = load_spec(write_spec(folder, source, dataset, units=units), shipped_catalogue())
    images = loaded.spec.dataset.source
    assert isinstance(images, Images)
    return *load_images(loaded, images, Where(None, False, told.append), [folder], reader), told


def array(inputs: Any) -> np.ndarray[Any, Any]:
    [only] = named(inputs).values()
    return only


# --- one picture ---------------------------------------------------------------------------------------------------

RGB = Form((12, 10), "rgb", "resize")
GREY = Form((12, 10), "grayscale", "resize")
RED = picture(COLOURS["red"], 0)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp", "gif", "jpg"])
def test_each_format_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"one.{suffix}"
    RED.save(path, **({"lossless": True} if suffix == "webp" else {}))
    exact = suffix in ("png", "bmp", "tiff", "webp")
    pixels = read_picture(path, RGB)
    assert (pixels.shape, pixels.dtype) == ((12, 10, 3), np.uint8)
    assert np.abs(pixels.astype(int) - np.asarray(RED)).mean() < (1e-9 if exact else 16)
    assert read_picture(path, GREY).shape == (12, 10)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_exif_says(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"webp": {"lossless": True}, "jpg": {"quality": 100, "subsampling": 0}}.get(suffix, {})
    RED.save(tmp_path / f"turned.{suffix}", exif=exif, **options)
    tagged = RED.copy()
    tagged.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(tagged)).astype(int)
    found = appearance(tmp_path / f"turned.{suffix}")
    assert found.size == upright.shape[:2]
    assert not found.is_grey
    pixels = read_picture(tmp_path / f"turned.{suffix}", Form(found.size, "rgb", "resize"), is_exact=True)
    assert np.abs(pixels - upright).mean() < (6 if suffix == "jpg" else 1e-9)


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {}), ("RGB", {"progressive": True}), ("RGB", {"subsampling": 0, "comment": "x"}), ("L", {}),
        ("CMYK", {}), ("RGB", {"icc_profile": b"x" * 300}), ("RGB", {"restart_marker_rows": 1}),
        ("RGB", {"keep_rgb": True}), ("RGB", {"qtables": "web_low", "subsampling": 1}), ("L", {"progressive": True}),
    ],
)  # fmt: skip
def test_jpegs_have_the_pixels_that_pillow_gives(tmp_path: Path, mode: str, options: dict[str, Any]) -> None:
    RED.convert(mode).save(tmp_path / "small.jpg", **options)
    whole = np.asarray(Image.open(tmp_path / "small.jpg").convert("RGB"))
    np.testing.assert_array_equal(read_picture(tmp_path / "small.jpg", RGB), whole)
    grey = np.asarray(Image.open(tmp_path / "small.jpg").convert("L"))
    np.testing.assert_array_equal(read_picture(tmp_path / "small.jpg", GREY), grey)
    drafted = Image.open(tmp_path / "small.jpg")
    drafted.draft(None, (4, 5))
    smaller = np.asarray(drafted.convert("RGB").resize((4, 5), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(read_picture(tmp_path / "small.jpg", Form((5, 4), "rgb", "resize")), smaller)
    data = (tmp_path / "small.jpg").read_bytes()
    for end in (2, 3, 4, 12, 30, len(data) // 2, len(data) - 20):
        (tmp_path / "cut.jpg").write_bytes(data[:end])
        with pytest.raises(UnreadableError):
            read_picture(tmp_path / "cut.jpg", RGB)


def test_damaged_exif_leaves_the_picture_as_it_is(tmp_path: Path) -> None:
    RED.save(tmp_path / "odd.jpg", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert read_picture(tmp_path / "odd.jpg", RGB).shape == (12, 10, 3)


def test_colours_of_all_kinds(tmp_path: Path) -> None:
    def saved(image: Image.Image, name: str) -> Path:
        image.save(tmp_path / name)
        return tmp_path / name

    ramp = (np.arange(120).reshape(12, 10) * 500).astype(np.uint16)
    deep = saved(Image.fromarray(ramp), "deep.png")
    np.testing.assert_array_equal(read_picture(deep, GREY), ramp >> 8)
    np.testing.assert_array_equal(read_picture(saved(Image.fromarray(ramp), "deep.tiff"), GREY), ramp >> 8)
    assert appearance(deep).is_grey
    clear = Image.new("RGBA", (10, 12), (200, 0, 0, 0))
    assert (read_picture(saved(clear, "clear.png"), RGB) == 255).all()  # transparent parts are white
    assert (read_picture(saved(clear.convert("LA"), "clear_grey.png"), GREY) == 255).all()
    half = Image.new("RGBA", (10, 12), (0, 0, 0, 128))
    assert (read_picture(saved(half, "half.webp"), RGB) == 127).all()
    palette = RED.quantize(16)
    np.testing.assert_array_equal(read_picture(saved(palette, "palette.png"), RGB), np.asarray(palette.convert("RGB")))
    assert not appearance(tmp_path / "palette.png").is_grey
    palette.save(tmp_path / "hole.png", transparency=palette.getpixel((0, 0)))
    assert (read_picture(tmp_path / "hole.png", RGB)[0, 0] == 255).all()
    grey_palette = RED.convert("L").quantize(16)
    assert appearance(saved(grey_palette, "grey.gif")).is_grey
    assert set(read_picture(saved(RED.convert("1"), "bits.png"), GREY).reshape(-1).tolist()) <= {0, 255}
    ink = read_picture(saved(Image.new("CMYK", (10, 12), (0, 255, 255, 0)), "ink.jpg"), RGB)
    assert ink[..., 0].min() > 240
    assert ink[..., 1:].max() < 15
    for mode in ("I", "F"):
        with pytest.raises(UnreadableError, match="32 bits"):
            read_picture(saved(Image.new(mode, (10, 12)), f"numbers_{mode}.tiff"), RGB)


def test_of_an_animation_the_first_image_is_taken(tmp_path: Path) -> None:
    RED.quantize(8).save(tmp_path / "a.gif", save_all=True, append_images=[Image.new("RGB", (10, 12), "blue")])
    assert read_picture(tmp_path / "a.gif", RGB)[6:, 6:, 0].mean() > 180


def test_fits(tmp_path: Path) -> None:
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 15:25] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    cropped = read_picture(tmp_path / "wide.png", Form((10, 10), "rgb", "crop"))
    np.testing.assert_array_equal(cropped, wide[:, 15:25])
    padded = read_picture(tmp_path / "wide.png", Form((40, 40), "rgb", "pad"))
    np.testing.assert_array_equal(padded[15:25], wide)
    assert not padded[:15].any()
    assert not padded[25:].any()
    stretched = read_picture(tmp_path / "wide.png", Form((10, 4), "rgb", "resize"))
    assert stretched[5, :, 0].tolist() == stretched[5, ::-1, 0].tolist()
    assert stretched[5, 1, 0] > stretched[5, 0, 0]
    Image.new("RGB", (3000, 1), "white").save(tmp_path / "line.png")
    assert read_picture(tmp_path / "line.png", Form((8, 8), "rgb", "pad")).any()


@pytest.mark.parametrize("fit", ["resize", "crop", "pad"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_jpeg_is_decoded_at_a_fraction_of_its_size(tmp_path: Path, fit: str, orientation: int) -> None:
    y, x = np.mgrid[0:640, 0:960]
    large = Image.fromarray(np.stack([x / 4, y / 3, (x + y) / 7], -1).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    large.save(tmp_path / "large.jpg", quality=95, exif=exif)
    large.save(tmp_path / "large.png", exif=exif)
    form = Form((40, 30), "rgb", fit)
    from_jpeg, exact = (read_picture(tmp_path / f"large.{kind}", form).astype(int) for kind in ("jpg", "png"))
    assert np.abs(from_jpeg - exact).mean() < 2


# --- folders -------------------------------------------------------------------------------------------------------


def test_class_folders_give_examples_in_order(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "photos", each=3)
    deeper = root / "green" / "more" / "and more"
    deeper.mkdir(parents=True)
    RED.save(deeper / "deep.PNG")
    (root / ".DS_Store").write_bytes(b"x")
    (root / "red" / "Thumbs.db").write_bytes(b"x")
    (root / "red" / ".hidden.png").write_bytes(b"x")
    (root / "__MACOSX" / "red").mkdir(parents=True)
    dataset, splits, told = load(tmp_path, "{path: photos}", "test: 0.3")
    assert (dataset.kind, dataset.class_names) == ("images", ("blue", "green", "red"))
    inputs = array(dataset.train.inputs)
    assert (inputs.shape, inputs.dtype, inputs.flags.c_contiguous) == ((10, 12, 10, 3), np.uint8, True)
    assert array(dataset.train.targets).tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2]
    np.testing.assert_array_equal(inputs[6], np.asarray(RED))
    np.testing.assert_array_equal(inputs[7], np.asarray(Image.open(root / "red" / "0.png")))
    assert told == []
    assert splits.test is not None
    assert len(splits.test) == 3


@pytest.mark.parametrize("held_out", ["validation", "val", "Valid"])
def test_folders_of_splits(tmp_path: Path, held_out: str) -> None:
    for name, each in (("Train", 4), ("test", 2), (held_out, 3)):
        class_folders(tmp_path / "photos" / name, each=each)
    dataset, splits, told = load(tmp_path, "{path: photos}", "validation: folder")
    assert [len(split) for split in (splits.train, splits.validation, splits.test) if split] == [12, 9, 6]
    assert told == []
    without, splits, told = load(tmp_path, "{path: photos}", "validation: 0.25")
    assert [len(split) for split in (splits.train, splits.validation, splits.test) if split] == [9, 3, 6]
    assert "9 images for validation, which is not used: `validation: folder` uses it" in told[0]
    assert dataset.fingerprint != without.fingerprint


def test_train_and_validation_without_test(tmp_path: Path) -> None:
    for name in ("train", "validation"):
        class_folders(tmp_path / "photos" / name, each=4)
    _, splits, _ = load(tmp_path, "{path: photos}", "validation: folder\n  test: 0.25")
    assert [len(split) for split in (splits.train, splits.validation, splits.test) if split] == [9, 12, 3]


def test_a_test_set_in_another_folder(tmp_path: Path) -> None:
    class_folders(tmp_path / "photos", each=4)
    class_folders(tmp_path / "newer", each=1)
    shutil.rmtree(tmp_path / "newer" / "blue")
    dataset, splits, _ = load(tmp_path, "{path: photos, test_path: newer}")
    assert dataset.test is not None
    assert array(dataset.test.targets).tolist() == [1, 2]
    assert [len(split) for split in (splits.train, splits.test) if split] == [12, 2]


def test_train_alone_is_a_split(tmp_path: Path) -> None:
    class_folders(tmp_path / "photos" / "train", each=4)
    assert folders_of_splits(tmp_path / "photos") == {"train": tmp_path / "photos" / "train"}
    class_folders(tmp_path / "vehicles", each=1)
    (tmp_path / "vehicles" / "train").mkdir()
    assert folders_of_splits(tmp_path / "vehicles") == {"train": tmp_path / "vehicles"}


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "photos", each=2)
    (root / "list.txt").write_text("x")
    (root / "red" / "notes.txt").write_text("x")
    (root / "red" / "raw.cr2").write_text("x")
    _, _, told = load(tmp_path, "{path: photos}")
    assert told == [
        f"2 files, such as {root}/red/notes.txt, are no image by the name, and left out.",
        f"{root}/list.txt is not in a folder of a class, and left out.",
    ]


def test_grey_images_get_no_colours_unless_asked(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "photos", each=2)
    for path in root.rglob("*.png"):
        Image.open(path).convert("L").save(path)
    assert array(load(tmp_path, "{path: photos}")[0].train.inputs).shape == (6, 12, 10)
    assert array(load(tmp_path, "{path: photos, color: rgb}")[0].train.inputs).shape == (6, 12, 10, 3)
    RED.save(root / "red" / "9.png")
    assert array(load(tmp_path, "{path: photos}")[0].train.inputs).shape == (7, 12, 10, 3)
    assert array(load(tmp_path, "{path: photos, color: grayscale}")[0].train.inputs).shape == (7, 12, 10)


def test_images_of_different_sizes_need_one(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "photos", each=2)
    picture(COLOURS["red"], 1, (20, 14)).save(root / "red" / "9.png")
    with pytest.raises(DataError, match="differ in size") as caught:
        load(tmp_path, "{path: photos}")
    assert f"{root}/red/9.png is 20×14 pixels (height and width), where 12×10 is that of the first" in str(caught.value)
    assert "`size: [12, 10]`" in str(caught.value.hint)
    dataset, _, _ = load(tmp_path, "{path: photos, size: [6, 7], fit: crop}")
    assert array(dataset.train.inputs).shape[1:] == (6, 7, 3)


def test_an_autoencoder_needs_no_classes(tmp_path: Path) -> None:
    for number in range(4):
        RED.save(tmp_path / f"{number}.png")
    dataset, splits, _ = load(tmp_path, "{path: .}", "labels: input\n  test: 0.25", units=1)
    assert dataset.class_names is None
    assert (len(splits.train), array(dataset.train.inputs).shape) == (3, (4, 12, 10, 3))


# --- tables --------------------------------------------------------------------------------------------------------


def test_a_table_of_paths_and_classes(tmp_path: Path) -> None:
    class_folders(tmp_path / "photos" / "all", each=2)
    lines = [f"{number},all/{name}/{number}.png,{name}" for name in COLOURS for number in (1, 0)]
    (tmp_path / "photos" / "labels.csv").write_text("\n".join(["id,file,colour", *lines, "7,all/red/1.png,"]))
    dataset, _, told = load(tmp_path, "{path: photos/labels.csv, target: colour}")
    assert dataset.class_names == ("blue", "green", "red")
    assert array(dataset.train.targets).tolist() == [0, 0, 1, 1, 2, 2]
    second = np.asarray(Image.open(tmp_path / "photos" / "all" / "blue" / "0.png"))
    np.testing.assert_array_equal(array(dataset.train.inputs)[1], second)
    assert told == ["labels.csv: 1 of 7 rows have no `colour`, and are left out."]
    shutil.move(tmp_path / "photos" / "all", tmp_path / "elsewhere" / "all")
    with pytest.raises(DataError, match="6 of 6 images that are not there") as caught:
        load(tmp_path, "{path: photos/labels.csv, target: colour}")
    assert "`folder` in `images`" in str(caught.value.hint)
    again, _, _ = load(tmp_path, "{path: photos/labels.csv, target: colour, image: file, folder: elsewhere}")
    assert again.fingerprint == dataset.fingerprint


def test_a_table_of_numbers_is_a_regression_and_has_a_test_set(tmp_path: Path) -> None:
    class_folders(tmp_path, each=2)
    rows = [f"{name}/{at}.png\t{at + 0.5}" for name in COLOURS for at in (0, 1)]
    (tmp_path / "ages.tsv").write_text("\n".join(["file\tage", *rows]))
    (tmp_path / "test.tsv").write_text("\n".join(["file\tage", *rows[:2]]))
    dataset, splits, _ = load(tmp_path, "{path: ages.tsv, test_path: test.tsv, target: age}", units=1)
    assert dataset.class_names is None
    assert array(dataset.train.targets).tolist() == [0.5, 1.5] * 3
    assert splits.test is not None
    assert array(splits.test.examples.targets).tolist() == [0.5, 1.5]
    with pytest.raises(DataError, match="compares classes"):
        load(tmp_path, "{path: ages.tsv, target: age}")


@pytest.mark.parametrize(
    ("table", "source", "expected"),
    [
        ("file,kind\na.png,x\n", "{path: t.csv}", "`images` needs `target`, since t.csv is a table"),
        ("file,kind\na.png,x\n", "{path: t.csv, target: class}", "has no column `class`"),
        ("name,kind\na,x\nb,y\n", "{path: t.csv, target: kind}", "has no column of file names of images"),
        ("file,kind\na.png,x\n,y\n", "{path: t.csv, target: kind}", "1 of 2 rows have no file name in `file`"),
        ("file,kind\na.png,x\na.png,x\n", "{path: t.csv, target: kind}", "every row has the same `kind`"),
        ("file,kind\na.png,x\nb.png,y\n", "{path: t.csv, target: kind}", "names 1 of 2 images that are not there"),
    ],
)
def test_what_is_wrong_with_a_table(tmp_path: Path, table: str, source: str, expected: str) -> None:
    (tmp_path / "t.csv").write_text(table)
    RED.save(tmp_path / "a.png")
    with pytest.raises(DlcliError) as caught:
        load(tmp_path, source)
    assert expected in caught.value.message
    assert isinstance(caught.value, SpecError if "needs" in expected else DataError)


# --- what may be wrong ---------------------------------------------------------------------------------------------


def _truncated(root: Path) -> None:
    whole = (root / "red" / "0.png").read_bytes()
    (root / "red" / "0.png").write_bytes(whole[: len(whole) // 2])


def _bomb(root: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(root / "red" / "0.png")


def _loop(root: Path) -> None:
    (root / "red" / "again").symlink_to(root)


def _self_link(root: Path) -> None:
    (root / "red" / "self.png").symlink_to(root / "red" / "self.png")


def _without_folders(root: Path) -> None:
    for folder in root.iterdir():
        shutil.rmtree(folder)
    RED.save(root / "a.png")


def _only(*names: str) -> Callable[[Path], None]:
    def remove(root: Path) -> None:
        for name in set(COLOURS) - set(names):
            shutil.rmtree(root / name)

    return remove


def _other_test_class(root: Path) -> None:
    class_folders(root / "train", each=2)
    (root / "test" / "pink").mkdir(parents=True)


def _two_names(root: Path) -> None:
    for name in ("train", "val", "valid"):
        class_folders(root / name, each=1)


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (_truncated, "red/0.png is not an image that can be read: "),
    "empty file": (lambda root: (root / "red" / "0.png").write_bytes(b""), "can be read: the file is empty."),
    "pointer": (
        lambda root: (root / "red" / "0.png").write_text("version https://git-lfs.github.com/spec/v1\nsize 9\n"),
        "it only points to a file of Git LFS",
    ),
    "no image": (lambda root: (root / "red" / "0.png").write_text("no image"), "it is none of JPEG, PNG, GIF, BMP"),
    "SVG": (lambda root: (root / "red" / "0.png").write_text("<svg/>"), "it is drawn in SVG, and none of JPEG, PNG"),
    "HEIC": (lambda root: (root / "red" / "0.jpg").write_bytes(b"\0\0\0\x18ftypheic"), "it is HEIC, AVIF or a film"),
    "a PNG of nothing": (lambda root: (root / "red" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n"), "it begins as a PNG"),
    "bomb": (_bomb, "it has more pixels than any picture should"),
    "broken link": (lambda root: (root / "red" / "9.jpg").symlink_to(root / "x"), "can be read: there is no such file"),
    "loop": (_loop, "is a link to a folder that it is in itself"),
    "link to itself": (_self_link, "self.png cannot be followed"),
    "no images of a class": (lambda root: (root / "pink").mkdir(), "pink has no images."),
    "one class": (_only("red"), "has the folder of one class only, red"),
    "empty": (_only(), "has no folders of classes."),
    "no class folders": (_without_folders, "has no folders of classes, but 1 images of none."),
    "a class of the test set only": (_other_test_class, "that are not in the training data: pink. Known are: blue"),
    "two names of a split": (_two_names, "val and valid, which mean the same"),
    "missing": (shutil.rmtree, "There is no photos"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told(name: str, tmp_path: Path, dlcli: Command) -> None:
    root = class_folders(tmp_path / "photos", each=2)
    spoil, expected = WRONG[name]
    spoil(root)
    spec = write_spec(tmp_path, "{path: photos, size: [8, 8]}")
    done = dlcli("train", spec, "--runs-dir", tmp_path / "runs")
    said = " ".join(done.err.split())
    assert done.code == 3, done.err
    assert " ".join(expected.split()) in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("place", ["red/0.png", "red"])
def test_no_permission(tmp_path: Path, place: str) -> None:
    root = class_folders(tmp_path / "photos", each=2)
    (root / place).chmod(0)
    try:
        with pytest.raises(DataError, match="cannot be read"):
            load(tmp_path, "{path: photos, corrupt: skip}")
    finally:
        (root / place).chmod(0o755)


def test_all_that_cannot_be_read_is_told_at_once_or_skipped(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "photos", each=5)
    _truncated(root)
    for place in ("blue/1.png", "blue/4.png"):
        (root / place).write_bytes(b"")
    with pytest.raises(DataError) as caught:
        load(tmp_path, "{path: photos}")
    assert f"{root}/blue/1.png is not an image that can be read: the file is empty." in caught.value.message
    assert f"Nor are 2 others: {root}/blue/4.png: the file is empty; {root}/red/0.png:" in caught.value.message
    assert "`corrupt: skip`" in str(caught.value.hint)
    dataset, _, [told] = load(tmp_path, "{path: photos, corrupt: skip}")
    assert told.startswith(f"3 of 15 images cannot be read, and are left out: {root}/blue/1.png (the file is empty); ")
    inputs = array(dataset.train.inputs)
    assert array(dataset.train.targets).tolist() == [0] * 3 + [1] * 5 + [2] * 4
    left = [path for name in COLOURS for path in sorted((root / name).iterdir())]
    left = [path for path in left if str(path.relative_to(root)) not in ("blue/1.png", "blue/4.png", "red/0.png")]
    np.testing.assert_array_equal(inputs, np.stack([np.asarray(Image.open(path)) for path in left]))


def test_a_class_of_which_nothing_can_be_read(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "photos", each=2)
    for path in (root / "red").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match="no image that can be read of red"):
        load(tmp_path, "{path: photos, corrupt: skip}")
    for path in root.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match="Nor are 5 others"):
        load(tmp_path, "{path: photos, corrupt: skip}")


def test_more_than_fits_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class_folders(tmp_path / "photos", each=2)
    monkeypatch.setattr("dlcli.data.image_files.available_memory", lambda: 2400)
    with pytest.raises(DataError) as caught:
        load(tmp_path, "{path: photos, stream: false}")
    assert "6 images of 12×10 pixels are 2.2 kB (2,160 bytes)" in caught.value.message
    assert "`size: [8, 7]`" in str(caught.value.hint)
    assert load(tmp_path, "{path: photos, size: [8, 7]}")[0].example_shape == (8, 7, 3)


def test_usage(tmp_path: Path) -> None:
    class_folders(tmp_path / "photos", each=2)
    for word in ("target", "image", "folder"):
        with pytest.raises(SpecError, match=f"`{word}` is for a table of images"):
            load(tmp_path, f"{{path: photos, {word}: x}}")
    with pytest.raises(DataError, match="is a single image"):
        load(tmp_path, "{path: photos/red/0.png}")
    with pytest.raises(DataError, match="means 3 folders or files"):
        load(tmp_path, '{path: "photos/*"}')
    with pytest.raises(DataError, match="needs a folder `validation` beside `train`"):
        load(tmp_path, "{path: photos}", "validation: folder\n  test: 0")


# --- the grammar ---------------------------------------------------------------------------------------------------


def test_grammar(tmp_path: Path) -> None:
    source = "{path: p, size: [20, 30], color: rgb, fit: pad, corrupt: skip}"
    spec = load_spec(write_spec(tmp_path, source, "validation: folder"), shipped_catalogue()).spec
    assert isinstance(spec.dataset.source, Images)
    assert spec.dataset.source.size == (20, 30)
    assert Spec.model_validate(json.loads(json.dumps(spec.resolved()))) == spec


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{}", "path"),
        ("{path: p, size: 20}", "must be height and width in pixels"),
        ("{path: p, size: [20, 0]}", "must be height and width in pixels"),
        ("{path: p, size: [20, 30, 3]}", "must be height and width in pixels"),
        ("{path: p, color: grey}", "rgb"),
        ("{path: p, fit: stretch}", "resize"),
        ("{path: p, corrupt: ignore}", "skip"),
        ("{path: p, shape: [2, 2]}", "shape"),
        ("{path: p, stream: auto}", "stream` must be `true` or `false`"),
        ("{path: p, cache: disk}", "cache` must be `true` or `false`"),
    ],
)
def test_mistakes_in_the_grammar(tmp_path: Path, source: str, expected: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(write_spec(tmp_path, source), shipped_catalogue())
    assert expected in caught.value.message


def test_only_images_have_validation_in_a_folder(tmp_path: Path) -> None:
    path = write_spec(tmp_path, "{path: p}", "validation: folder")
    path.write_text(path.read_text().replace("{images: {path: p}}", "digits"))
    with pytest.raises(SpecError, match="only `images`, `text` and `video` have it in a folder"):
        load_spec(path, shipped_catalogue())


# --- from training to prediction -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a spec, its images of two sizes, and its finished run."""
    folder = tmp_path_factory.mktemp("trained")
    for name, each in (("train", 6), ("test", 3)):
        class_folders(folder / "photos" / name, each=each, size=(24, 20), suffix="jpg")
    picture(COLOURS["red"], 77, (200, 300)).save(folder / "photos" / "test" / "red" / "large.jpg")
    source = "{path: photos, size: [10, 12], fit: crop}"
    augment = "validation: 0.2\n  augment: [RandomFlip: {mode: horizontal}, RandomBrightness: {factor: 0.1}]"
    spec = write_spec(folder, source, augment)
    assert run_quietly("train", spec, "--runs-dir", folder / "runs", "--run-name", "one", "-q") == 0
    return folder


def test_predictions_for_files_are_those_for_the_split(trained: Path, tmp_path: Path, dlcli: Command) -> None:
    run = trained / "runs" / "pictures" / "one"
    split = dlcli("predict", run, "--split", "test", "--json").json
    evaluation = dlcli("evaluate", run, "--json").json
    # A checkpoint that was moved, and nothing else is left of data, spec and run.
    shutil.copytree(trained / "photos" / "test", tmp_path / "later")
    shutil.copy(run / "checkpoints" / "best.h5", tmp_path / "moved.h5")
    hidden = trained.rename(trained.with_name("hidden"))
    try:
        below = dlcli("predict", tmp_path / "moved.h5", tmp_path / "later", "--json").json
        one = dlcli("predict", tmp_path / "moved.h5", tmp_path / "later" / "red" / "large.jpg", "--json").json
        lost = dlcli("evaluate", tmp_path / "moved.h5")
    finally:
        hidden.rename(trained)
    assert [row["input"] for row in below][-2:] == ["red/2.jpg", "red/large.jpg"]
    assert len(below) == len(split) == 10
    for mine, its in zip(below, split, strict=True):
        assert mine["class"] == its["class"]
        assert mine["probability"] == pytest.approx(its["probability"], abs=1e-6)
    assert one[0]["probability"] == pytest.approx(split[-1]["probability"], abs=1e-6)
    confusion = np.zeros((3, 3), int)
    names = sorted(COLOURS)
    for row in split:
        confusion[names.index(row["true"]), names.index(row["class"])] += 1
    assert evaluation["confusion"] == confusion.tolist()
    assert (lost.code, "There is no photos" in lost.err) == (3, True)


def test_what_predict_cannot_read(trained: Path, tmp_path: Path, dlcli: Command) -> None:
    run = trained / "runs" / "pictures" / "one"
    (tmp_path / "bad.jpg").write_text("no image")
    (tmp_path / "none").mkdir()
    for place, expected in (("bad.jpg", "not an image that can"), ("none", "no images"), ("x.png", "There is no")):
        done = dlcli("predict", run, tmp_path / place)
        assert done.code == 3
        assert expected in " ".join(done.err.split())


def test_evaluation_on_other_folders(trained: Path, tmp_path: Path, dlcli: Command) -> None:
    """Other images are read as in training, whatever their spec says, and their classes are those of training."""
    run = trained / "runs" / "pictures" / "one"
    class_folders(tmp_path / "others", each=4, size=(30, 30))
    shutil.rmtree(tmp_path / "others" / "blue")
    other = write_spec(tmp_path, "{path: others, size: [3, 3]}")
    evaluation = dlcli("evaluate", run, "--data", other, "--json").json
    assert [row["class"] for row in evaluation["classes"]] == ["blue", "green", "red"]
    assert [row["examples"] for row in evaluation["classes"]] == [0, 1, 1]
    (tmp_path / "others" / "red").rename(tmp_path / "others" / "pink")
    done = dlcli("evaluate", run, "--data", other)
    assert (done.code, "not in the training data: pink" in " ".join(done.err.split())) == (3, True)


def test_the_reader_is_kept(tmp_path: Path) -> None:
    class_folders(tmp_path / "photos", each=2)
    dataset, _, _ = load(tmp_path, "{path: photos, color: grayscale, size: [5, 6], fit: pad}")
    assert dataset.reader is not None
    again = restore_reader(json.loads(json.dumps(dataset.reader.state())))
    assert again == dataset.reader
    assert again.facts["input"].shape == (5, 6)


def test_a_stopped_run_comes_to_the_same_bits(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("photos", "pictures.yaml"):
        (tmp_path / name).symlink_to(trained / name)
    looks = 0

    def is_asked(request: StopRequest) -> bool:
        nonlocal looks
        looks += 1
        return looks >= 6

    command = ("train", tmp_path / "pictures.yaml", "--runs-dir", tmp_path / "runs", "--run-name", "one", "-q")
    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "is_asked", property(is_asked))
        assert run_quietly(*command) == 143
    run = tmp_path / "runs" / "pictures" / "one"
    assert run_quietly("train", "--resume", run, "-q") == 0
    assert not compare(outcome(trained / "runs" / "pictures" / "one"), outcome(run))


def test_grey_images_train_with_a_channel_axis(tmp_path: Path, dlcli: Command) -> None:
    root = class_folders(tmp_path / "photos", each=4)
    for path in root.rglob("*.png"):
        Image.open(path).convert("L").save(path)
    spec = write_spec(tmp_path, "{path: photos}")
    summary = dlcli("summary", spec, "--json").json
    assert summary["layers"][0]["parameters"] == 3 * 3 * 1 * 4 + 4
    assert dlcli("train", spec, "--runs-dir", tmp_path / "runs", "--smoke").code == 0


def test_the_rules_know_that_images_are_bytes(tmp_path: Path, dlcli: Command) -> None:
    class_folders(tmp_path / "photos", each=20)
    spec = write_spec(tmp_path, "{path: photos}", "preparation: []")
    assert "values from 0 to 255" in " ".join(dlcli("check", spec).err.split() + dlcli("check", spec).out.split())


@pytest.mark.parametrize(
    ("folders", "source", "dataset"),
    [
        ([""], "{path: photos}", "test: 0.25"),
        ([""], "{path: photos, size: [6, 8], color: grayscale}", "validation: 0.2"),
        (["train", "val", "test"], "{path: photos}", "validation: folder"),
        (["train", "testing"], "{path: photos}", "validation: test"),
    ],
)
def test_the_script_reads_the_same_pixels(
    dlcli: Command, tmp_path: Path, folders: list[str], source: str, dataset: str
) -> None:
    for folder in folders:
        class_folders(tmp_path / "photos" / folder)
    path = write_spec(tmp_path, source, dataset)
    done = dlcli("code", path)
    assert done.code == 0, done.err
    script = tmp_path / "script.py"
    script.write_text(done.out[: done.out.index("\nmodel = ")])
    found = runpy.run_path(str(script))
    [(data, splits)] = known_spec(path).data
    for split, letter in (("train", "train"), ("validation", "val"), ("test", "test")):
        if split not in splits.names or (split == "validation" and dataset == "validation: test"):
            continue
        rows = splits.named(split)
        pixels = array(rows.examples.inputs)[rows.indices]
        shape = (*pixels.shape, 1) if pixels.ndim == 3 else pixels.shape
        np.testing.assert_allclose(found[f"x_{letter}"], pixels.reshape(shape) / 255, atol=1e-6)
        assert np.array_equal(found[f"y_{letter}"], array(rows.examples.targets)[rows.indices])
        assert data.class_names == tuple(COLOURS)


def test_what_no_script_can_say_is_refused(dlcli: Command, tmp_path: Path) -> None:
    class_folders(tmp_path / "photos")
    path = write_spec(tmp_path, "{path: photos, size: [6, 8]}", "labels: input", units=1)
    path.write_text(path.read_text().replace("    - GlobalAveragePooling2D\n    - Dense: {units: 1}\n", "")
                    .replace("filters: 4, kernel_size: 3", "filters: 3, kernel_size: 1"))  # fmt: skip
    done = dlcli("code", path)
    assert (done.code, "pictures without classes are read cannot be written as a script yet" in done.err) == (2, True)
    assert dlcli("code", path, "--model-only").code == 0
