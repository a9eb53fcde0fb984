"""The sets of `keras.datasets`, in Python."""

from __future__ import annotations

from dlcli.spec.source import Source
from dlcli.spec.sources_keras import NumberedTexts


def keras_set_code(source: Source) -> list[str]:
    """The statements that load a set; its arguments are Keras's own, but for the length of texts."""
    given = {
        name: getattr(source, name)
        for name, field in type(source).model_fields.items()
        if name != "length" and getattr(source, name) != field.default
    }
    arguments = ", ".join(f"{name}={value!r}" for name, value in given.items())
    lines = [f"(x_train, y_train), (x_test, y_test) = keras.datasets.{source.name}.load_data({arguments})"]
    if source.name.startswith("cifar"):
        lines.append("y_train, y_test = y_train.ravel(), y_test.ravel()")
    if isinstance(source, NumberedTexts):
        each = f"keras.utils.pad_sequences(x, maxlen={source.length})"
        lines.append(f"x_train, x_test = ({each} for x in (x_train, x_test))")
    return lines
