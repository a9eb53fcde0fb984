"""Images as they are shown."""

from __future__ import annotations

import numpy as np

from dlcli.data.dataset import Array


def pixels_of(image: Array) -> Array:
    """An image as bytes, grey of shape (height, width) or colour of (height, width, 3); numbers are stretched."""
    shown = image if image.ndim == 2 else image[..., :3] if image.shape[-1] >= 3 else image[..., 0]
    if shown.dtype == np.uint8:
        return np.asarray(shown)
    values = shown.astype(np.float64)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return np.asarray(np.nan_to_num((values - low) / ((high - low) or 1.0)) * 255).astype(np.uint8)
