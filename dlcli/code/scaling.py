"""Targets that are standardized for the loss, in Python; and metrics that see them as they were."""

from __future__ import annotations

from collections.abc import Sequence

from dlcli.data.encoding import AnyEncoding, Encodings
from dlcli.data.scaling import scales_of

_MEASURED = '''
def in_units({of}):
    """Standardized numbers as they were."""
    return {restored}


def compute_metrics(x, y, y_pred, sample_weight=None):
    """The metrics of numbers as they were; the loss alone is of standardized ones."""
    return keras.Model.compute_metrics(model, x, in_units(y), in_units(y_pred), sample_weight)


model.compute_metrics = compute_metrics
'''


def scaling_code(encoding: AnyEncoding, splits: Sequence[str]) -> list[str]:
    """The statements that standardize targets, which are float32 columns already, as `dlcli.data.scaling` does it."""
    names, every = list(scales_of(encoding)), ", ".join(f"y_{split}" for split in splits)
    if not names:
        return []
    if isinstance(encoding, Encodings):
        return [
            f'y_mean = {{name: float(y_train[name].mean(dtype="float64")) for name in {names}}}',
            f'y_std = {{name: float(y_train[name].std(dtype="float64")) for name in {names}}}',
            f"for y in [{every}]:",
            f"    y.update({{name: (y[name] - y_mean[name]) / y_std[name] for name in {names}}})",
        ]
    scaled = "y_train = (y_train - y_mean) / y_std"
    if len(splits) > 1:
        scaled = f"{every} = ((y - y_mean) / y_std for y in ({every}))"
    return [
        'y_mean = float(y_train.mean(dtype="float64"))',
        'y_std = float(y_train.std(dtype="float64"))',
        scaled,
    ]


def measured_code(encoding: AnyEncoding) -> list[str]:
    """The statements after which a compiled model's metrics see numbers as they were; none if they do so anyhow."""
    if not scales_of(encoding):
        return []
    if isinstance(encoding, Encodings):
        one = "value * y_std[name] + y_mean[name] if name in y_std else value"
        return [_MEASURED.format(of="by_name", restored=f"{{name: {one} for name, value in by_name.items()}}").strip()]
    return [_MEASURED.format(of="y", restored="y * y_std + y_mean").strip()]
