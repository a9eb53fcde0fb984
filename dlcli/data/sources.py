"""The way in: from a source of the grammar to its data set, or to its fallback's where it is out of reach."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from dlcli.data.dataset import Dataset
from dlcli.data.drawn import draw_pairs, load_drawn
from dlcli.data.embedded import load_embedded
from dlcli.data.fallback import adapt
from dlcli.data.generated import load_generated
from dlcli.data.keras_cache import Notify, Reach, UnreachableError
from dlcli.data.keras_numbers import load_california, load_texts
from dlcli.data.keras_sets import IMAGE_SETS, load_keras_set
from dlcli.errors import DataError, DlcliError
from dlcli.spec.source import Source
from dlcli.spec.sources import EMBEDDED, SOURCES, Pairs
from dlcli.spec.sources_drawn import Motion, Random, Ratings, Shapes
from dlcli.spec.sources_keras import CaliforniaHousing, NumberedTexts

_log = logging.getLogger(__name__)


def load_dataset(
    source: Source,
    *,
    fallback: Source | None = None,
    data_dir: Path | None = None,
    seed: int = 0,
    allow_download: bool = True,
    notify: Notify = _log.warning,
    progressed: Notify = _log.info,
) -> Dataset:
    """Load `source`, or `fallback` in its place where `source` is missing and cannot be reached: `requested` tells.

    Data that is found but damaged is an error, never a reason to take the fallback.

    Args:
        source: what to load.
        fallback: what may stand in for it; its examples are given the shape of the source's.
        data_dir: a folder to look in before all others.
        seed: for generated sources that name no seed.
        allow_download: whether what is in no folder may be downloaded.
        notify: is told, in whole sentences, what a person must know: a download, a part of a set.
        progressed: is told how far a download is, in a few words.

    Raises:
        UnreachableError: the data is missing, and no fallback is given.
        DataError: the data is damaged, or the fallback cannot stand in for the source.
    """
    reach = Reach(data_dir, allow_download, notify, progressed)
    try:
        return _load(source, seed, reach)
    except MemoryError as error:
        raise DataError(f"The examples of {source.name} do not fit into memory: {error}.", "Ask for fewer.") from error
    except UnreachableError as error:
        if fallback is None:
            raise
        reason = error.message
    dataset = adapt(_load(fallback, seed, reach), type(source))
    return replace(dataset, requested=source.name, reason=reason)


def _load(source: Source, seed: int, reach: Reach) -> Dataset:
    if source.name in IMAGE_SETS:
        return load_keras_set(source, reach)
    if isinstance(source, NumberedTexts):
        return load_texts(source, reach)
    if isinstance(source, CaliforniaHousing):
        return load_california(source, reach)
    if source.name in EMBEDDED:
        return load_embedded(source)
    if isinstance(source, Pairs):
        images = _load(SOURCES[source.of](), seed, reach)
        return draw_pairs(source, images, seed=seed)
    if isinstance(source, (Shapes, Motion, Ratings, Random)):
        return load_drawn(source, seed=seed)
    if source.kind == "points":
        return load_generated(source, seed=seed)
    raise DlcliError(f"There is no loader for the source {source.name}.")
