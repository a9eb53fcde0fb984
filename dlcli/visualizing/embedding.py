"""Where the examples lie in what the last hidden layer makes of them: in two directions, by PCA or t-SNE."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dlcli.data.dataset import Array
from dlcli.errors import CheckpointError, DataError
from dlcli.report.drawing import COLORS, plain
from dlcli.visualizing.sheet import in_legend
from dlcli.visualizing.subject import Subject, chosen_layer, layers_of
from dlcli.visualizing.watching import outputs_and_seen

_FEWEST = 3
_NAMED = 20


def embedding(subject: Subject, asked: str | None, method: str) -> Figure:
    """The examples of a split as points, coloured by what is true of them.

    Raises:
        CheckpointError: the model has no hidden layer.
        DataError: there are too few examples.
        UsageError: there is no such layer.
    """
    if len(subject.names) < _FEWEST:
        raise DataError(f"{len(subject.names)} examples are too few: {_FEWEST} or more are needed.")
    path, values = hidden(subject, asked)
    if not np.isfinite(values).all():
        raise CheckpointError(f"What {path} gives has values that are not finite.")
    points, words = _places(values, method)
    figure = Figure(figsize=(7.0, 5.0))
    axis = figure.add_axes((0.09, 0.12, 0.66, 0.79))
    figure.suptitle(plain(f"{subject.name} · {path}: {len(points):,} examples", 80), x=0.02, y=0.975, ha="left",
                    fontsize=10.5, fontweight="bold")  # fmt: skip
    axis.set_xlabel(words[0])
    axis.set_ylabel(words[1])
    note = _colored(figure, axis, points, subject)
    small = f"{values.shape[1]:,} numbers an example, in two by {'PCA' if method == 'pca' else 't-SNE'}. {note}"
    figure.text(0.02, 0.015, small, fontsize=7, color=COLORS["muted"])
    return figure


def hidden(subject: Subject, asked: str | None) -> tuple[str, Array]:
    """What a layer gives, or what the last layer with weights reads, for each example: its name, and (n, numbers).

    Raises:
        CheckpointError: there is no hidden layer.
        UsageError: there is no such layer.
    """
    layers = layers_of(subject.model)
    weighted = [path for path, layer in layers.items() if layer.weights]
    if asked is None and len(weighted) < 2:
        raise CheckpointError("The model has no hidden layer: its only weights are those of its output.",
                              "Name a layer with --layer.")  # fmt: skip
    path = chosen_layer(subject.model, asked)[0] if asked is not None else weighted[-1]
    parts = []
    for batch in subject.batches():
        _, seen = outputs_and_seen(subject.model, batch, {path: layers[path]})
        given = seen[path].outputs[-1] if asked is not None else seen[path].inputs[-1]
        parts.append(np.asarray(given, np.float64).reshape(len(given), -1))
    return path if asked is not None else f"what {path} reads", np.concatenate(parts)


def principal(values: Array) -> tuple[Array, Array]:
    """The two directions in which examples differ most: places of shape (n, 2), and their shares of the variance."""
    from sklearn.decomposition import PCA

    found = PCA(min(2, values.shape[1]), svd_solver="full").fit(values)
    places, shares = found.transform(values), found.explained_variance_ratio_
    if places.shape[1] == 2:
        return places, shares
    return np.column_stack([places, np.zeros(len(places))]), np.append(shares, 0.0)


def _places(values: Array, method: str) -> tuple[Array, tuple[str, str]]:
    if method == "pca":
        places, shares = principal(values)
        first, second = (f"{100 * float(np.nan_to_num(share)):.1f}% of the variance" for share in shares)
        return places, (first, second)
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(values) - 1) / 3)
    start: Any = "pca" if min(values.shape) > 1 else "random"
    places = TSNE(perplexity=perplexity, init=start, random_state=0).fit_transform(values.astype(np.float32))
    return places, ("t-SNE 1", "t-SNE 2")


def _colored(figure: Figure, axis: Axes, points: Array, subject: Subject) -> str:
    """Draw the points; a note on their colours, where the legend does not say all."""
    size = 22 if len(points) < 300 else 11 if len(points) < 2000 else 5
    style: dict[str, Any] = {"s": size, "linewidths": 0.3, "edgecolors": COLORS["paper"], "alpha": 0.85}
    truth = subject.truth
    if truth is None:
        axis.set_position((0.09, 0.12, 0.88, 0.79))
        axis.scatter(points[:, 0], points[:, 1], color=COLORS["train"], **style)
        return ""
    if subject.classes is None:
        shown = axis.scatter(points[:, 0], points[:, 1], c=truth.astype(np.float64), cmap="viridis", **style)
        bar = figure.colorbar(shown, cax=figure.add_axes((0.79, 0.12, 0.02, 0.79)))
        bar.set_label("true")
        bar.outline.set_visible(False)
        return ""
    names, found = list(subject.classes), truth.astype(int)
    if len(names) > _NAMED:
        axis.scatter(points[:, 0], points[:, 1], c=found, cmap="turbo", **style)
        return f"{len(names)} classes, from blue to red in their order."
    colors = colormaps["tab10" if len(names) <= 10 else "tab20"]
    for at, name in enumerate(names):
        of_class = points[found == at]
        axis.scatter(of_class[:, 0], of_class[:, 1], color=colors(at), label=in_legend(name), **style)
    axis.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), markerscale=2 if size < 20 else 1, borderaxespad=0)
    return ""
