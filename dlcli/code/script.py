"""A whole script: data, model, training, evaluation, each as a person would write it with plain Keras."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from dlcli.code.data import DataCode, data_code
from dlcli.code.network import network_lines
from dlcli.code.objects import Writer
from dlcli.code.outline import Outline
from dlcli.code.precision import in_policy
from dlcli.code.scaling import measured_code
from dlcli.code.weights import repeated_code, weights_code
from dlcli.data.dataset import OneOrNamed, Reader, Shape
from dlcli.data.encoding import AnyEncoding
from dlcli.errors import UsageError
from dlcli.model.summary import ModelSummary
from dlcli.spec.catalogue import Catalogue
from dlcli.spec.grammar import DatasetSpec, Spec
from dlcli.spec.heads import Head, heads_of
from dlcli.spec.keras_objects import MIXING

_NEEDS_TENSORBOARD = "# `TensorBoard` needs a package that TensorFlow 2.21 does not bring: pip install tensorboard"


@dataclass(frozen=True)
class Subject:
    """What a script is written of.

    Attributes:
        spec: the spec.
        outline: its network as it is written.
        shape: of a prepared example; of each of several inputs, by name.
        encoding: of the labels.
        command: what makes the script, for its first line.
        reader: what made numbers of a person's files, if the data is that.
        folder: what the paths of those files are relative to.
    """

    spec: Spec
    outline: Outline
    shape: OneOrNamed[Shape]
    encoding: AnyEncoding
    command: str
    reader: Reader | None = None
    folder: str | None = None


def outputs_of(spec: Spec) -> tuple[str, ...]:
    """The names of what the model puts out, if that is not what the last layer gives."""
    heads = heads_of(spec)
    if len(heads) > 1:
        return tuple(heads)
    return (spec.model.outputs,) if isinstance(spec.model.outputs, str) else tuple(spec.model.outputs or ())


def shapes_of(spec: Spec, summary: ModelSummary) -> OneOrNamed[Shape]:
    """Those of prepared examples, in the order of the source's inputs."""
    shapes = {name: shape[1:] for name, shape in summary.input_shapes.items()}
    names = spec.dataset.source.input_facts
    return {name: shapes[name] for name in names} if len(names) > 1 else next(iter(shapes.values()))


def write_script(subject: Subject, catalogue: Catalogue, *, model_only: bool) -> str:
    """The script, laid out by Black."""
    import black

    spec = subject.spec
    network = network_lines(subject.outline, catalogue, subject.shape, re.sub(r"[-.]", "_", spec.name))
    functions, statements = _functions_first(network)
    statements = in_policy(spec, statements)
    writer = Writer(catalogue)
    title = f'"""{spec.name}: {"the model" if model_only else "data, model, training"}, made by `{subject.command}`."""'
    seed = [f"keras.utils.set_random_seed({spec.seed})"]
    if model_only:
        imports = ["import keras", "from keras import layers"]
        parts = [[title], imports, functions, seed, statements, ["model.summary()"]]
        return black.format_str(_joined(parts), mode=black.Mode())
    data = data_code(spec, subject.encoding, writer, subject.reader, subject.folder)
    if spec.deterministic:
        seed.append("tf.config.experimental.enable_op_determinism()")
    weighing, weights = weights_code(spec, subject.encoding, subject.reader)
    augment, training = _training(spec, data, writer, weights)
    parts = [
        [title],
        functions, list(data.functions),
        seed,
        list(data.lines),
        statements, ["model.summary()"],
        _compiled(spec, writer),
        measured_code(subject.encoding) if spec.metrics else [],
        repeated_code(spec, subject.encoding, subject.reader),
        augment,
        weighing + training,
        _evaluated(spec, data),
    ]  # fmt: skip
    body = _joined(parts[1:])
    return black.format_str(_joined([[title], _imports(data.imports, body), [body]]), mode=black.Mode())


def _joined(parts: Iterable[Sequence[str]]) -> str:
    return "\n\n".join("\n".join(part) for part in parts if part)


def _functions_first(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """The functions, and the statements behind them."""
    at = max((number + 1 for number, line in enumerate(lines) if line == ""), default=0)
    return list(lines[:at]), list(lines[at:])


def _imports(asked: Sequence[str], body: str) -> list[str]:
    """The import statements in their groups, sorted; what the script does not name is left out."""
    whole = [*asked, "import keras", "from keras import layers"]
    if "mlflow." in body:
        whole.append("import mlflow")
    if "np." in body:
        whole.append("import numpy as np")
    if "tf." in body:
        whole.append("import tensorflow as tf")
    needed = [line for line in dict.fromkeys(whole) if re.search(rf"\b{line.split()[-1]}\b", body)]
    return sorted(needed, key=lambda line: (line.startswith("from"), line))


def _compiled(spec: Spec, writer: Writer) -> list[str]:
    heads = heads_of(spec)
    losses = {name: writer.named("loss", head.loss) for name, head in heads.items()}
    metrics = {name: [writer.named("metric", metric) for metric, _ in head.metrics] for name, head in heads.items()}
    lists = {name: f"[{', '.join(made)}]" for name, made in metrics.items() if made}
    weights = {name: repr(weight) for name, weight in (spec.loss_weights or {}).items()}
    if weights:
        weights = {name: weights.get(name, "1.0") for name in heads}
    arguments = [
        f"optimizer={writer.named('optimizer', spec.optimizer)}",
        f"loss={_by_name(losses, heads)}",
        *([f"loss_weights={_by_name(weights, heads)}"] if weights else []),
        *([f"metrics={_by_name(lists, heads)}"] if lists else []),
        "jit_compile=False",
    ]
    return [f"model.compile({', '.join(arguments)})"]


def _by_name(made: Mapping[str, str], heads: Mapping[str, Head]) -> str:
    """What is made for the only output, or a dictionary for several."""
    if len(heads) == 1:
        return next(iter(made.values()))
    return f"{{{', '.join(f'{name!r}: {one}' for name, one in made.items())}}}"


def _training(spec: Spec, data: DataCode, writer: Writer, weights: Sequence[str]) -> tuple[list[str], list[str]]:
    """What augments the training examples, and the call of `fit`."""
    dataset, train = spec.dataset, spec.train
    held_out = "test" if dataset.validation == "test" else "val" if dataset.is_validated else None
    callbacks = [writer.made("callback", callback) for callback in train.callbacks]
    if train.tensorboard:
        callbacks.append('keras.callbacks.TensorBoard("tensorboard", histogram_freq=1)')
    notes = [_NEEDS_TENSORBOARD] if train.tensorboard else []
    if train.mlflow is not None:
        callbacks.append("mlflow.keras.MlflowCallback()")
        uri = train.mlflow.tracking_uri
        notes += [f"mlflow.set_tracking_uri({uri!r})"] if uri is not None else []
        notes.append(f"mlflow.set_experiment({train.mlflow.experiment or spec.name!r})")
    more = [f"epochs={train.epochs}"]
    if held_out:
        more.append(f"validation_data=(x_{held_out}, y_{held_out})")
    more += weights
    if callbacks:
        more.append(f"callbacks=[{', '.join(callbacks)}]")
    if not dataset.augment:
        order = [] if dataset.shuffle else ["shuffle=False"]
        given = ["x_train", "y_train", f"batch_size={dataset.batch_size}", *more, *order]
        return [], [*notes, f"model.fit({', '.join(given)})"]
    if len(dataset.source.input_facts) > 1:
        message = "How several inputs are augmented cannot be written as a script yet."
        raise UsageError(message, "With --model-only the model is written.")
    made, steps = _augmenting(dataset, writer)
    shuffled = ".shuffle(len(x_train))" if dataset.shuffle else ""
    augment = [
        *made,
        "",
        "",
        "def augmented(x, y):",
        *(f"    {step}" for step in steps),
        "",
        "",
        f"train = tf.data.Dataset.from_tensor_slices((x_train, y_train)){shuffled}",
        f"train = train.batch({dataset.batch_size}).map(augmented).prefetch(tf.data.AUTOTUNE)",
    ]
    if held_out:
        more.append("validation_batch_size=" + str(dataset.batch_size))
    # The data set does that; Keras 3.15.1 warns that it does not, unless it is told not to.
    return augment, [*notes, f"model.fit({', '.join(['train', *more, 'shuffle=False'])})"]


def _augmenting(dataset: DatasetSpec, writer: Writer) -> tuple[list[str], list[str]]:
    """What makes the augmenting layers, and what applies them to `x` and `y`."""
    [facts] = dataset.source.input_facts.values()
    scaled = facts.kind in ("images", "video") and dataset.preparation is None
    lines: list[str] = []
    steps: list[str] = []
    for mixes, group in groupby(dataset.augment, key=lambda layer: layer.name in MIXING):
        made = []
        for layer in group:
            known = writer.catalogue.parameters("layer", layer.name) or {}
            given = scaled and "value_range" in known and "value_range" not in layer.arguments
            made.append(writer.made("layer", layer, [("value_range", "(0.0, 1.0)")] if given else []))
        word = "mix" if mixes else "augment"
        for each in made if mixes else [f"keras.Sequential([{', '.join(made)}{',' if len(made) > 1 else ''}])"]:
            before = sum(line.startswith(word) for line in lines)
            name = f"{word}_{before + 1}" if before else word
            lines.append(f"{name} = {each}")
            mixed = [f'mixed = {name}({{"images": x, "labels": y}}, training=True)']
            mixed.append('x, y = mixed["images"], mixed["labels"]')
            steps += mixed if mixes else [f"x = {name}(x, training=True)"]
    if len(steps) == 1:
        return lines, ["return augment(x, training=True), y"]
    return lines, [*steps, "return x, y"]


def _evaluated(spec: Spec, data: DataCode) -> list[str]:
    split = next(name for name in ("test", "val", "train") if name in data.splits)
    return [f"print(model.evaluate(x_{split}, y_{split}, return_dict=True))"]
