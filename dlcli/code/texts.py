"""Texts in folders of classes, in Python: read, and numbered by Keras's TextVectorization."""

from __future__ import annotations

from collections.abc import Sequence

from dlcli.code.pictures import loads_code
from dlcli.data.text_reader import TextReader
from dlcli.errors import UsageError
from dlcli.spec.sources_texts import Text

_LOAD = '''
def load(folder):
    """The texts of a folder that has one for each class, and the numbers of their classes."""
    texts, labels = [], []
    classes = sorted(path for path in Path(folder).iterdir() if path.is_dir())
    for number, inner in enumerate(classes):
        for path in sorted(inner.rglob("*.txt")):
            texts.append(path.read_text({encoding!r}).lower())
            labels.append(number)
    return np.array(texts, dtype=object), np.array(labels)
'''


def texts_code(source: Text, reader: TextReader, folder: str | None) -> tuple[list[str], list[str], list[str]]:
    """Imports, functions and statements for `x_train` and `y_train`, and for the test set if there is one.

    Raises:
        UsageError: nobody has said yet how a script does that.
    """
    if reader.classes is None:
        message = "How texts without classes are read cannot be written as a script yet."
        raise UsageError(message, "With --model-only the model is written.")
    encoding = "utf-8-sig" if source.encoding.lower() in ("utf-8", "utf8") else source.encoding
    imports = ["from pathlib import Path", "import numpy as np"]
    return imports, [_LOAD.format(encoding=encoding)], loads_code(source, folder)


def numbered_code(reader: TextReader, splits: Sequence[str]) -> list[str]:
    """The statements that make numbers of the words of the texts of each split."""
    sizes = f"max_tokens={reader.column.vocabulary}, output_sequence_length={reader.column.length}"
    names = [f"x_{split}" for split in splits]
    each = "np.asarray(vectorize(x))"
    made = f"({each} for x in ({', '.join(names)}))" if len(names) > 1 else each.replace("(x)", f"({names[0]})")
    return [
        f"vectorize = layers.TextVectorization({sizes})",
        "vectorize.adapt(x_train)",
        f"{', '.join(names)} = {made}",
    ]
