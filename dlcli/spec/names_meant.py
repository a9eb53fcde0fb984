"""What is meant by a name that is none of its kind: what Keras calls it, or where in a spec it belongs.

The table has what PyTorch, scikit-learn and older versions of Keras call the same thing, where no likeness finds it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dlcli.errors import Path
from dlcli.spec.catalogue import KINDS, Catalogue
from dlcli.spec.characters import shortened
from dlcli.spec.likeness import plain
from dlcli.spec.remedies import python_name


@dataclass(frozen=True)
class Namesake:
    """What Keras calls a thing, with the arguments that make it the same; and what else must be known of it."""

    written: str
    note: str = ""


_LOGITS = "If the model ends without `softmax`, write `{SparseCategoricalCrossentropy: {from_logits: true}}`."
_SOFTMAX = "It takes the outputs of `softmax`, not of `log_softmax`."
# By kind, and by the name without capitals and underscores; `#` stands for 1, 2 or 3.
NAMESAKES: Mapping[str, Mapping[str, Namesake]] = {
    "layer": {
        "linear": Namesake("Dense"),
        "fullyconnected": Namesake("Dense"),
        "batchnorm#d": Namesake("BatchNormalization"),
        "instancenorm#d": Namesake("GroupNormalization: {groups: -1}"),
        "adaptiveavgpool#d": Namesake("AdaptiveAveragePooling#D"),
        "adaptivemaxpool#d": Namesake("AdaptiveMaxPooling#D"),
        "convtranspose#d": Namesake("Conv#DTranspose"),
        "deconv#d": Namesake("Conv#DTranspose"),
        "dropout#d": Namesake("SpatialDropout#D"),
        "zeropad#d": Namesake("ZeroPadding#D"),
        "upsample": Namesake("UpSampling2D"),
        "cudnnlstm": Namesake("LSTM"),
        "cudnngru": Namesake("GRU"),
        "sum": Namesake("Add"),
    },
    "loss": {
        "crossentropy": Namesake("sparse_categorical_crossentropy", _LOGITS),
        "crossentropyloss": Namesake("sparse_categorical_crossentropy", _LOGITS),
        "nllloss": Namesake("sparse_categorical_crossentropy", _SOFTMAX),
        "logloss": Namesake("sparse_categorical_crossentropy"),
        "bceloss": Namesake("binary_crossentropy"),
        "bcewithlogitsloss": Namesake("BinaryCrossentropy: {from_logits: true}"),
        "mseloss": Namesake("mean_squared_error"),
        "l2loss": Namesake("mean_squared_error"),
        "l1loss": Namesake("mean_absolute_error"),
        "smoothl1loss": Namesake("huber"),
        "huberloss": Namesake("huber"),
        "kldivloss": Namesake("kl_divergence"),
    },
    "metric": {
        "rmse": Namesake("RootMeanSquaredError"),
        "f1": Namesake("F1Score: {average: macro}"),
        "auroc": Namesake("AUC"),
        "rocauc": Namesake("AUC"),
        "r2": Namesake("R2Score"),
    },
    "schedule": {
        "steplr": Namesake("PiecewiseConstantDecay"),
        "multisteplr": Namesake("PiecewiseConstantDecay"),
        "exponentiallr": Namesake("ExponentialDecay"),
        "polynomiallr": Namesake("PolynomialDecay"),
        "cosineannealing": Namesake("CosineDecay"),
        "cosineannealinglr": Namesake("CosineDecay"),
        "cosineannealingwarmrestarts": Namesake("CosineDecayRestarts"),
    },
    "initializer": {
        "xavier": Namesake("GlorotUniform"),
        "xavieruniform": Namesake("GlorotUniform"),
        "xaviernormal": Namesake("GlorotNormal"),
        "kaiminguniform": Namesake("HeUniform"),
        "kaimingnormal": Namesake("HeNormal"),
        "gaussian": Namesake("RandomNormal"),
    },
    "regularizer": {"weightdecay": Namesake("L2"), "ridge": Namesake("L2"), "lasso": Namesake("L1")},
    "activation": {
        "lrelu": Namesake("leaky_relu"),
        "logistic": Namesake("sigmoid"),
        "identity": Namesake("linear"),
    },
}
# Where an object of each kind is written; `{}` stands for its name.
_PLACES = {
    "layer": "in the list `model.layers`",
    "loss": "under `loss`",
    "metric": "in the list `metrics`, as in `metrics: [{}]`",
    "optimizer": "under `optimizer`",
    "schedule": "under the `learning_rate` of an optimizer",
    "initializer": "in a layer, as in `kernel_initializer: {}`",
    "regularizer": "in a layer, as in `kernel_regularizer: {}`",
    "constraint": "in a layer, as in `kernel_constraint: {}`",
    "activation": "in a layer, as in `activation: {}`",
    "callback": "in the list `train.callbacks`",
}


def name_remedy(kind: str, name: str, path: Path, catalogue: Catalogue) -> str:
    """What to write instead of `name` at `path`, which is not the name of a `kind`; or what is allowed."""
    found = python_name(name)
    if found is None and _spelt(catalogue, kind, name) is None:
        found = _namesake(kind, name, path) or _place(kind, name, path, catalogue)
    return found or catalogue.suggestion(kind, name)


def _spelt(catalogue: Catalogue, kind: str, name: str) -> str | None:
    """The name of this kind that differs in capitals and underscores only."""
    names = (*catalogue.names(kind), *catalogue.second_names(kind))
    return next((known for known in names if plain(known) == plain(name)), None)


def _namesake(kind: str, name: str, path: Path) -> str | None:
    word, table = plain(name), NAMESAKES.get(kind, {})
    dimension = re.search(r"[123](?=d\Z)", word)
    digit = dimension[0] if dimension else ""
    found = table.get(word) or table.get(re.sub(r"[123]d\Z", "#d", word))
    if found is None:
        return None
    written = found.written.replace("#", digit)
    if ":" in written and isinstance(path[-1], str):  # not an item of a list
        written = f"{{{written}}}"
    return f"Keras calls it `{written}`. {found.note}".rstrip()


def _place(kind: str, name: str, path: Path, catalogue: Catalogue) -> str | None:
    """Where an object of another kind belongs; a name that is exactly as written goes before one that is spelt so."""
    others = [other for other in KINDS if other != kind]
    exact = [(other, name) for other in others if catalogue.parameters(other, name) is not None]
    spelt = [(other, known) for other in others if (known := _spelt(catalogue, other, name)) is not None]
    if not (exact or spelt):
        return None
    other, known = (exact or spelt)[0]
    return f"`{shortened(known)}` is {KINDS[other].label}: {_where(kind, other, known, path, catalogue)}."


def _where(kind: str, other: str, name: str, path: Path, catalogue: Catalogue) -> str:
    argument = str(path[-1])
    if kind == "layer" and other == "activation":
        return f"write `Activation: {{activation: {name}}}`"
    if argument.endswith(f"_{kind}"):
        fitting = f"{argument.removesuffix(kind)}{other}"
        if fitting in (catalogue.parameters("layer", str(path[-2])) or {}):
            return f"it belongs under `{fitting}`"
    return f"it belongs {_PLACES[other].format(name)}"
