"""Points drawn from a formula: xor, circles, moons, spirals, blobs. The same seed gives the same points."""

from __future__ import annotations

import numpy as np

from dlcli.data.dataset import Array, Dataset, Examples
from dlcli.data.fingerprint import fingerprint_of
from dlcli.errors import DataError, DlcliError
from dlcli.spec.source import Source
from dlcli.spec.sources import Blobs, Circles, Moons, Spirals, Xor

Points = tuple[Array, Array, tuple[str, ...]]  # inputs, targets, class names


def load_generated(source: Source, *, seed: int) -> Dataset:
    """Draw the points of `source`; `seed` is used where the source names none itself.

    The four points of `xor` with `samples: 4` are all that there is to know about the function, so they are the
    training set and the test set at once (one and the same object). Every other generated set has no test set.

    Returns:
        Inputs float32 of shape (samples, 2), for blobs (samples, features); targets int32 class numbers.

    Raises:
        DataError: blobs asks for more centers than samples.
        DlcliError: `source` is not a generated one.
    """
    own_seed: int | None = getattr(source, "seed", None)
    used_seed = seed if own_seed is None else own_seed
    inputs, targets, class_names = _draw(source, used_seed)
    train = Examples(np.ascontiguousarray(inputs, dtype=np.float32), targets.astype(np.int32))
    test = train if isinstance(source, Xor) and source.samples == 4 else None
    return Dataset(
        source=source.name,
        kind=source.kind,
        train=train,
        test=test,
        class_names=class_names,
        feature_names=None,
        origin=f"generated with seed {used_seed}",
        fingerprint=fingerprint_of(train, test),
    )


def _draw(source: Source, seed: int) -> Points:
    from sklearn.datasets import make_circles, make_moons

    match source:
        case Xor():
            return *xor(source.samples, noise=source.noise, seed=seed), ("0", "1")
        case Circles():
            drawn = make_circles(source.samples, noise=source.noise, factor=source.factor, random_state=seed)
            return *drawn, ("outer", "inner")
        case Moons():
            return *make_moons(source.samples, noise=source.noise, random_state=seed), ("upper", "lower")
        case Spirals():
            return *spirals(source.samples, noise=source.noise, turns=source.turns, seed=seed), ("first", "second")
        case Blobs():
            if source.samples < source.centers:
                raise DataError(
                    f"blobs cannot draw {source.centers} classes (`centers`) from {source.samples} samples: "
                    "some classes would have no example.",
                    "Ask for more `samples` or for fewer `centers`.",
                )
            shape = {"centers": source.centers, "features": source.features}
            drawn = blobs(source.samples, **shape, spread=source.spread, seed=seed)
            return *drawn, tuple(str(number) for number in range(source.centers))
    raise DlcliError(f"{source.name} is not a data set that is generated.")


# `dlcli code` writes these three into scripts as they stand here.


def xor(samples: int, *, noise: float, seed: int) -> tuple[Array, Array]:
    """The four corners of the unit square in turn, each with Gaussian noise of standard deviation `noise`."""
    corners = np.array([(0, 0), (0, 1), (1, 0), (1, 1)], dtype=np.float64)
    classes = np.array([0, 1, 1, 0])
    rounds = samples // len(corners)
    around = np.random.default_rng(seed).normal(scale=noise, size=(samples, 2))
    return np.tile(corners, (rounds, 1)) + around, np.tile(classes, rounds)


def spirals(samples: int, *, noise: float, turns: float, seed: int) -> tuple[Array, Array]:
    """Two Archimedean spirals (radius proportional to angle), the second turned by half a circle, in mixed order.

    The angle is drawn as the root of a uniform number, so that points lie equally dense along the arms. Noise may
    push a point out of the square from -1 to 1; then all points are scaled down together until they fit.
    """
    random = np.random.default_rng(seed)
    classes = random.permutation(np.arange(samples) % 2)
    radius = np.sqrt(random.uniform(size=samples))
    angle = 2 * np.pi * turns * radius + np.pi * classes
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points += random.normal(scale=noise, size=points.shape)
    return points / max(1.0, np.abs(points).max()), classes


def blobs(samples: int, *, centers: int, features: int, spread: float, seed: int) -> tuple[Array, Array]:
    """A Gaussian cloud around each of `centers` points, which are drawn uniformly from -1 to 1 in every feature."""
    from sklearn.datasets import make_blobs

    middles = np.random.default_rng(seed).uniform(-1.0, 1.0, size=(centers, features))
    points, classes = make_blobs(samples, centers=middles, cluster_std=spread, random_state=seed)
    return points, classes
