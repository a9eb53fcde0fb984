"""Raw examples in Python as a model takes them, as `dlcli.data.preparation` prepares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dlcli.code.objects import Writer
from dlcli.spec.grammar import DatasetSpec
from dlcli.spec.keras_objects import KerasObject
from dlcli.spec.source import InputFacts


def each_split(letter: str, splits: Sequence[str], what: str) -> str:
    """An assignment to that variable of every split; `what` says it of the variable without its split."""
    names = [f"{letter}_{split}" for split in splits]
    if len(names) == 1:
        return f"{names[0]} = {what.format(names[0])}"
    return f"{', '.join(names)} = ({what.format(letter)} for {letter} in ({', '.join(names)}))"


def prepared_code(dataset: DatasetSpec, splits: Sequence[str], writer: Writer) -> list[str]:
    """The statements that prepare `x_train` and so on, as the kinds of the inputs, or the spec, ask for."""
    source = dataset.source
    if dataset.preparation is not None:
        return code_as_written(dataset.preparation, splits, writer)
    first, *others = source.input_facts.values()
    scaled = _scaled(first)
    if others and scaled is not None and all(_scaled(other) == scaled for other in others):
        every = f"{{{{name: {scaled.format('array')} for name, array in {{}}.items()}}}}"
        return [each_split("x", splits, every)]
    if others:
        return _prepared_by_name(source.input_facts, splits)
    if first.kind == "table":
        lines = ["normalize = layers.Normalization()", "normalize.adapt(x_train)"]
        return [*lines, each_split("x", splits, "np.asarray(normalize({}))")]
    return [] if scaled is None else [each_split("x", splits, scaled)]


def _scaled(facts: InputFacts) -> str | None:
    """What becomes of pictures; None if these are none."""
    if facts.kind not in ("images", "video"):
        return None
    return f'{{}}{"[..., None]" if len(facts.shape) == 2 else ""}.astype("float32") * (1 / 255)'


def _prepared_by_name(inputs: Mapping[str, InputFacts], splits: Sequence[str]) -> list[str]:
    """Each of several inputs, as its kind asks for."""
    lines, steps = [], []
    for name, facts in inputs.items():
        scaled = _scaled(facts)
        if facts.kind == "table":
            layer = f"normalize_{name}"
            lines += [f"{layer} = layers.Normalization()", f'{layer}.adapt(x_train["{name}"])']
            scaled = f"np.asarray({layer}({{}}))"
        if scaled is not None:
            steps.append(f"""    x["{name}"] = {scaled.format(f'x["{name}"]')}""")
    every = ", ".join(f"x_{split}" for split in splits)
    return [*lines, f"for x in [{every}]:", *steps] if steps else []


def code_as_written(preparation: Sequence[KerasObject], splits: Sequence[str], writer: Writer) -> list[str]:
    """The same for layers of the spec: those that learn from the training examples stand alone, others together."""
    lines = [each_split("x", splits, '{}.astype("float32")')]
    together: list[str] = []
    number = 0
    for layer in preparation:
        learns = layer.name == "Normalization" and "mean" not in layer.arguments
        if learns:
            lines += _called_together(together, splits)
            together, number = [], number + 1
            name = "normalize" if number == 1 else f"normalize_{number}"
            lines += [f"{name} = {writer.made('layer', layer)}", f"{name}.adapt(x_train)"]
            lines.append(each_split("x", splits, f"np.asarray({name}({{}}))"))
        else:
            together.append(writer.made("layer", layer))
    return [*lines, *_called_together(together, splits)]


def _called_together(together: Sequence[str], splits: Sequence[str]) -> list[str]:
    if not together:
        return []
    made = f"prepare = keras.Sequential([{', '.join(together)},])"
    return [made, each_split("x", splits, "prepare.predict({}, verbose=0)")]
