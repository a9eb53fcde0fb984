"""What every source hands over: embedded sets, generated points, fallbacks and fingerprints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlcli.data.dataset import Examples
from dlcli.data.fallback import adapt
from dlcli.data.fingerprint import fingerprint_of
from dlcli.data.sources import load_dataset
from dlcli.errors import DataError
from dlcli.spec import sources as grammar
from tests.data_helpers import arrays, nothing_of_the_user

__all__ = ["nothing_of_the_user"]  # a fixture that takes effect where it is imported


class TestEmbedded:
    def test_digits_fill_the_range_of_bytes(self) -> None:
        from sklearn.datasets import load_digits

        dataset = load_dataset(grammar.Digits())
        assert dataset.train.inputs.dtype == np.uint8
        assert dataset.train.inputs.shape == (1797, 8, 8)
        np.testing.assert_allclose(dataset.train.inputs / (255 / 16), load_digits().images, atol=0.5 * 16 / 255 + 1e-9)
        assert dataset.train.inputs.max() == 255
        assert dataset.class_names == tuple("0123456789")

    @pytest.mark.parametrize(
        ("source", "rows", "first", "last_feature"),
        [
            (grammar.Iris(), 150, "setosa", "petal width (cm)"),
            (grammar.Wine(), 178, "class_0", "proline"),
            (grammar.BreastCancer(), 569, "malignant", "worst fractal dimension"),
        ],
    )
    def test_tables(self, source: grammar.Source, rows: int, first: str, last_feature: str) -> None:
        dataset = load_dataset(source)
        assert dataset.train.inputs.shape == (rows, *(source.shape or ()))
        assert dataset.train.inputs.dtype == np.float32
        assert dataset.train.targets.dtype == np.int32
        assert dataset.class_names is not None
        assert dataset.feature_names is not None
        assert len(dataset.class_names) == source.classes
        assert (dataset.class_names[0], dataset.feature_names[-1]) == (first, last_feature)
        assert {type(name) for name in dataset.class_names + dataset.feature_names} == {str}
        assert dataset.test is None

    def test_diabetes_is_a_regression_in_its_own_units(self) -> None:
        dataset = load_dataset(grammar.Diabetes())
        assert dataset.class_names is None
        assert dataset.train.targets.dtype == np.float32
        assert dataset.train.targets.min() == 25
        assert dataset.feature_names is not None
        age = dataset.train.inputs[:, dataset.feature_names.index("age")]
        assert (age.min(), age.max()) == (19, 79)


class TestGenerated:
    @pytest.mark.parametrize(
        "source", [grammar.Circles(), grammar.Moons(), grammar.Spirals(), grammar.Blobs(), grammar.Xor(noise=0.1)]
    )
    def test_seed_decides(self, source: grammar.Source) -> None:
        one, same, other = (load_dataset(source, seed=seed) for seed in (1, 1, 2))
        assert one.fingerprint == same.fingerprint != other.fingerprint
        own = source.model_copy(update={"seed": 1})
        assert load_dataset(own, seed=7).fingerprint == one.fingerprint
        assert one.train.inputs.dtype == np.float32
        assert one.train.targets.dtype == np.int32

    def test_xor_is_its_own_test_set(self) -> None:
        dataset = load_dataset(grammar.Xor())
        assert dataset.train.inputs.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
        assert dataset.train.targets.tolist() == [0, 1, 1, 0]
        assert dataset.test is dataset.train

    def test_noisy_xor(self) -> None:
        dataset = load_dataset(grammar.Xor(samples=4000, noise=0.1))
        assert dataset.test is None
        corner = np.rint(dataset.train.inputs).astype(int)
        np.testing.assert_array_equal(corner[:, 0] ^ corner[:, 1], dataset.train.targets)
        assert (dataset.train.inputs - corner).std() == pytest.approx(0.1, rel=0.05)

    def test_names_of_circles_and_moons(self) -> None:
        circles = load_dataset(grammar.Circles(noise=0.0, factor=0.25))
        radius = np.linalg.norm(circles.train.inputs, axis=1)
        assert circles.class_names == ("outer", "inner")
        np.testing.assert_allclose(radius, np.where(circles.train.targets == 0, 1.0, 0.25), rtol=1e-6)
        moons = load_dataset(grammar.Moons(noise=0.0))
        assert moons.class_names == ("upper", "lower")
        assert moons.train.inputs[moons.train.targets == 0, 1].min() >= 0
        assert moons.train.inputs[moons.train.targets == 1, 1].max() <= 0.5

    @pytest.mark.parametrize("noise", [0.0, 0.02, 5.0])
    def test_spirals_stay_in_the_square(self, noise: float) -> None:
        dataset = load_dataset(grammar.Spirals(samples=1001, noise=noise))
        assert np.abs(dataset.train.inputs).max() <= 1.0
        assert np.bincount(dataset.train.targets).tolist() == [501, 500]

    def test_spirals_are_two_arms_half_a_turn_apart(self) -> None:
        dataset = load_dataset(grammar.Spirals(noise=0.0, turns=2.0))
        x, y = dataset.train.inputs.astype(np.float64).T
        radius = np.hypot(x, y)
        turn = (np.arctan2(y, x) / (2 * np.pi) - 2.0 * radius - dataset.train.targets / 2) % 1.0
        np.testing.assert_allclose(np.minimum(turn, 1 - turn), 0.0, atol=1e-4)

    def test_blobs(self) -> None:
        dataset = load_dataset(grammar.Blobs(samples=3000, centers=4, features=5, spread=0.01))
        assert dataset.train.inputs.shape == (3000, 5)
        assert dataset.class_names == ("0", "1", "2", "3")
        for number in range(4):
            cloud = dataset.train.inputs[dataset.train.targets == number]
            assert np.abs(cloud.mean(axis=0)).max() <= 1.0
            assert cloud.std(axis=0) == pytest.approx(np.full(5, 0.01), rel=0.2)

    def test_more_blobs_than_samples(self) -> None:
        with pytest.raises(DataError, match=r"11 classes .* from 10 samples"):
            load_dataset(grammar.Blobs(samples=10, centers=11))


class TestFallback:
    def test_grey_is_resized_and_repeated_to_colour(self) -> None:
        digits = load_dataset(grammar.Digits())
        adapted = adapt(digits, grammar.Cifar10)
        assert adapted.train.inputs.shape == (1797, 32, 32, 3)
        assert adapted.train.inputs.dtype == np.uint8
        np.testing.assert_array_equal(adapted.train.inputs[..., 0], adapted.train.inputs[..., 2])
        expected = Image.fromarray(digits.train.inputs[5]).resize((32, 32), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(adapted.train.inputs[5, ..., 0], np.asarray(expected))
        assert adapted.train.targets is digits.train.targets
        assert adapted.fingerprint == fingerprint_of(adapted.train, None) != digits.fingerprint
        assert "8×8 to 32×32×3" in adapted.origin

    def test_colour_becomes_grey(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "cifar10.npz", **arrays((32, 32, 3)))
        dataset = load_dataset(grammar.Mnist(), fallback=grammar.Cifar10(), data_dir=tmp_path)
        assert dataset.test is not None
        assert dataset.train.inputs.shape == (20, 28, 28)
        assert dataset.test.inputs.shape == (10, 28, 28)

    def test_what_fits_is_left_alone(self) -> None:
        iris = load_dataset(grammar.Iris())
        assert adapt(iris, grammar.Iris) is iris

    @pytest.mark.parametrize(
        ("fallback", "to", "message"),
        [
            (grammar.Iris(), grammar.Mnist, "its kind is table, not images"),
            (grammar.Digits(), grammar.Cifar100, "it has 10 classes, not 100 classes"),
            (grammar.Diabetes(), grammar.Iris, "it has numbers to predict, not 3 classes"),
            (grammar.Wine(), grammar.Iris, r"the shape \(13,\), not \(4,\)"),
        ],
    )
    def test_what_cannot_stand_in(self, fallback: grammar.Source, to: type[grammar.Source], message: str) -> None:
        with pytest.raises(DataError, match=message) as caught:
            adapt(load_dataset(fallback), to)
        assert caught.value.hint


class TestFingerprint:
    def test_one_changed_byte_changes_it(self) -> None:
        inputs, targets = arrays()["x_train"], np.arange(20, dtype=np.int32)
        train, test = Examples(inputs, targets), Examples(inputs.copy(), targets.copy())
        before = {fingerprint_of(train, None), fingerprint_of(train, test)}
        assert len(before) == 2
        seen = {fingerprint_of(train, test)}
        for array in (train.inputs, train.targets, test.inputs, test.targets):
            array.flat[-1] ^= 1
            seen.add(fingerprint_of(train, test))
        assert len(seen) == 5

    def test_same_data_same_fingerprint_wherever_it_comes_from(self, tmp_path: Path) -> None:
        content = arrays()
        for place in ("stored", "compressed"):
            (tmp_path / place).mkdir()
        np.savez(tmp_path / "stored" / "mnist.npz", **content)
        np.savez_compressed(tmp_path / "compressed" / "mnist.npz", **content)
        stored, compressed = (
            load_dataset(grammar.Mnist(), data_dir=tmp_path / place) for place in ("stored", "compressed")
        )
        assert stored.fingerprint == compressed.fingerprint
        assert len(stored.fingerprint) == 32
