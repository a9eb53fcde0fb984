"""Pictures in TensorFlow's own operations, to the bit as in training: files decoded, bytes resized as Pillow does.

The same in NumPy is in `dlcli.exporting.prepare`.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dlcli.exporting.parts import Picture, Step

_BITS = 22  # of the fractions with which Pillow weighs pixels
_LUMA = (19595, 38470, 7471)  # of red, green and blue, in 65536ths, as Pillow makes them grey
_SHRUNK = (8, 4, 2)  # how much smaller a JPEG can be decoded
_JPEG = b"\xff\xd8\xff"


def fit_pictures(pictures: Any, picture: Picture) -> Any:
    """Bytes of shape (n, height, width, channels), of any size, brought to the picture's form: (n, *shape), uint8."""
    step = picture.step
    fitted = _fitted(tf.cast(pictures, tf.float64), step)
    return tf.cast(tf.reshape(fitted, (-1, *picture.shape)), tf.uint8)


def decode_file(content: Any, picture: Picture) -> Any:
    """The picture in a file of JPEG or PNG: uint8 of shape `picture.shape`. What EXIF says is not looked at."""
    is_jpeg = tf.strings.substr(content, 0, len(_JPEG)) == _JPEG
    pixels = tf.cond(is_jpeg, lambda: _jpeg(content, picture), lambda: _png(content, picture))
    return fit_pictures(pixels[None], picture)[0]


def _jpeg(content: Any, picture: Picture) -> Any:
    """A JPEG, decoded smaller by as much as it stays at least as large as what is wanted."""
    height, width = picture.form.size
    shape = tf.image.extract_jpeg_shape(content)
    is_grey = shape[2] == 1

    def decoded(ratio: int) -> Any:
        def colored() -> Any:
            return _colored(tf.io.decode_jpeg(content, 3, ratio, dct_method="INTEGER_ACCURATE"), picture)

        if picture.channels == 3 or not picture.is_upright:
            return colored()
        plain = tf.io.decode_jpeg(content, 1, ratio, dct_method="INTEGER_ACCURATE")
        return tf.cond(is_grey, lambda: plain, colored)

    if not picture.is_upright:
        return decoded(1)
    fits = [tf.logical_and(shape[0] >= ratio * height, shape[1] >= ratio * width) for ratio in _SHRUNK]
    cases = [(fit, lambda ratio=ratio: decoded(ratio)) for fit, ratio in zip(fits, _SHRUNK, strict=True)]
    return tf.case(cases, default=lambda: decoded(1))


def _png(content: Any, picture: Picture) -> Any:
    """A PNG, its transparent parts on white where training had that."""
    if picture.is_upright:
        pixels = tf.io.decode_png(content, 4)
        # Of grey in fewer bits, TensorFlow 2.21 leaves what is not transparent at 1, 3 or 15 instead of 255.
        alpha = tf.where(_is_of_few_bits(content), tf.cast(pixels[..., 3:] > 0, tf.uint8) * 255, pixels[..., 3:])
        return _colored(_on_white(tf.concat([pixels[..., :3], alpha], axis=-1)), picture)
    return _colored(tf.io.decode_png(content, 3), picture)


def _is_of_few_bits(content: Any) -> Any:
    """Whether a PNG is grey, with 1, 2 or 4 bits a pixel: that is in its header (RFC 2083, section 4.1.1)."""
    bits_and_kind = tf.strings.substr(content, 24, 2)
    return tf.reduce_any(bits_and_kind == tf.constant([b"\1\0", b"\2\0", b"\4\0"]))


def _on_white(pixels: Any) -> Any:
    """As Pillow's `alpha_composite` over white, which computes in whole numbers."""
    numbers = tf.cast(pixels, tf.int32)
    alpha = numbers[..., 3:]
    share = alpha * 128  # 7 more bits
    blended = numbers[..., :3] * share + 255 * (255 * 128 - share) + 128 * 128
    return tf.cast((blended // 256 + blended) // 256 // 128, tf.uint8)


def _colored(pixels: Any, picture: Picture) -> Any:
    """Three colours, or one grey."""
    if picture.channels == 3:
        return pixels
    grey = tf.reduce_sum(tf.cast(pixels, tf.int32) * _LUMA, axis=-1, keepdims=True)
    return tf.cast((grey + 0x8000) // 0x10000, tf.uint8)


def _fitted(pictures: Any, step: Step) -> Any:
    height, width = step["size"]
    own = tf.cast(tf.shape(pictures)[1:3], tf.float64)
    if step["fit"] == "pad":
        scale = tf.minimum(width / own[1], height / own[0])
        inner = tf.maximum(tf.round(own * scale), 1.0)
        fitted = _resized(pictures, inner, tf.zeros(2, tf.float64), step)
        top, left = (tf.cast((size - part) // 2, tf.int32) for size, part in ((height, inner[0]), (width, inner[1])))
        return tf.image.pad_to_bounding_box(fitted, top, left, height, width)
    cut = tf.zeros(2, tf.float64)
    size = tf.constant([height, width], tf.float64)
    if step["fit"] == "crop":
        cut = tf.maximum((own - size * tf.reduce_min(own / size)) / 2.0, 0.0)
    return _resized(pictures, size, cut, step)


def _resized(pictures: Any, size: Any, cut: Any, step: Step) -> Any:
    """Stretched to a height and width, without what is cut off on either side; see `dlcli.exporting.prepare`."""
    own = tf.cast(tf.shape(pictures)[1:3], tf.float64)
    rows, columns = _weights(own[0], size[0], cut[0]), _weights(own[1], size[1], cut[1])

    def along_rows(found: Any) -> Any:
        return _rounded(tf.einsum("nhwc,ow->nhoc", found, columns))

    def along_columns(found: Any) -> Any:
        return _rounded(tf.einsum("nhwc,oh->nowc", found, rows))

    if not step["columns_first"]:
        return along_columns(along_rows(pictures))
    less = own - size
    is_reversed = tf.logical_and(less[0] > 0.0, less[0] > 2.0 * less[1])
    return tf.cond(
        is_reversed, lambda: along_rows(along_columns(pictures)), lambda: along_columns(along_rows(pictures))
    )


def _weights(length: Any, wanted: Any, cut: Any) -> Any:
    """How much each of `length` pixels counts for each of those wanted, shape (wanted, length), in whole numbers."""
    start, stop = tf.cast(cut, tf.float32), tf.cast(length - cut, tf.float32)  # as which Pillow is given a box
    scale = tf.cast(stop - start, tf.float64) / wanted
    reach = tf.maximum(scale, 1.0)
    centers = tf.cast(start, tf.float64) + (tf.range(wanted, dtype=tf.float64)[:, None] + 0.5) * scale
    first = tf.maximum(tf.floor(centers - reach + 0.5), 0.0)
    end = tf.minimum(tf.floor(centers + reach + 0.5), length)
    pixels = tf.range(length, dtype=tf.float64)[None, :]
    near = tf.maximum(1.0 - tf.abs((pixels - centers + 0.5) / reach), 0.0)
    near = tf.where(tf.logical_and(pixels >= first, pixels < end), near, tf.zeros_like(near))
    return tf.floor(0.5 + near * (1.0 / tf.reduce_sum(near, axis=1, keepdims=True)) * float(1 << _BITS))


def _rounded(sums: Any) -> Any:
    return tf.clip_by_value(tf.floor((sums + float(1 << (_BITS - 1))) / float(1 << _BITS)), 0.0, 255.0)
