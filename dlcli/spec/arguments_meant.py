"""What is meant by an argument that an object of Keras does not have, and what to write where one is missing.

The tables have what PyTorch, older versions of Keras and everyday speech call the same thing, where no likeness finds
it; only what is surely meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlcli.spec.catalogue import Catalogue, Parameter, kind_of_parameter
from dlcli.spec.likeness import similar, suggestion
from dlcli.spec.remedies import python_value, tuple_meant
from dlcli.spec.values import check_value
from dlcli.spec.writing import to_flow

# By Keras's own name: other names of the same argument.
NAMESAKES: Mapping[str, tuple[str, ...]] = {
    "units": ("neurons", "nodes", "filters", "out_features", "hidden_size", "hidden_units", "output_dim"),
    "filters": ("units", "out_channels", "channels", "num_filters", "nb_filter"),
    "kernel_size": ("kernel", "filter_size"),
    "pool_size": ("kernel_size", "kernel", "window"),
    "rate": ("p", "prob", "probability", "dropout"),
    "negative_slope": ("alpha", "slope"),
    "learning_rate": ("lr", "rate", "step_size"),
    "epsilon": ("eps",),
    "use_bias": ("bias",),
    "scale": ("factor",),
    "factor": ("angle", "degrees"),
    "kernel_initializer": ("init", "initializer"),
    "kernel_regularizer": ("regularizer",),
    "filepath": ("path", "filename"),
    "filename": ("path", "filepath"),
}
_FROM_DATA = "Remove it: the shape of the data, and of what each layer gives, is known."
_BESIDE = "Write it beside the name of the layer, not among its arguments."
_MOMENTUM = "`{name}` has no momentum; `SGD` and `RMSprop` have one."
_BETA_1 = "`{name}` has no argument for momentum: its `beta_1` is that."
_DECAY = (
    "Write `learning_rate: {{InverseTimeDecay: {{initial_learning_rate: …, decay_steps: 1, decay_rate: {value}}}}}`."
)
_L2 = "Write `kernel_regularizer: {{L2: {{l2: {value}}}}}`."
# By kind and argument: what to do instead, and the argument that the object must have for it to be true.
EXPLAINED: Mapping[tuple[str, str], tuple[tuple[str, str | None], ...]] = {
    **{
        ("layer", argument): ((_FROM_DATA, None),)
        for argument in (
            "input_shape", "batch_input_shape", "input_dim", "input_length", "input_size", "in_features", "in_channels",
            "num_features",
        )
    },
    **{("layer", argument): ((_BESIDE, None),) for argument in ("inputs", "repeat")},
    **{("layer", argument): ((_L2, "kernel_regularizer"),) for argument in ("weight_decay", "l2")},
    ("layer", "dropout"): (("Add a layer `Dropout` below it.", None),),
    ("optimizer", "momentum"): ((_BETA_1, "beta_1"), (_MOMENTUM, None)),
    ("optimizer", "betas"): (("Write `beta_1` and `beta_2`, with a number each.", "beta_1"),),
    ("optimizer", "decay"): ((_DECAY, "learning_rate"),),
}  # fmt: skip
# What stands in an example for an argument that is missing.
EXAMPLES: Mapping[str, Any] = {
    "units": 64, "filters": 32, "kernel_size": 3, "pool_size": 2, "output_size": 1, "rate": 0.2, "stddev": 0.1,
    "activation": "relu", "layer": {"LSTM": {"units": 32}}, "height": 32, "width": 32, "factor": 0.1,
    "height_factor": 0.1, "width_factor": 0.1, "scale": 0.00392156862745098, "num_heads": 2, "key_dim": 16,
    "initial_learning_rate": 0.01, "decay_steps": 1000, "first_decay_steps": 1000, "decay_rate": 0.9, "num_classes": 10,
    "filename": "log.csv", "filepath": "best.keras",
}  # fmt: skip
_UNKNOWN = "…"
_LONGEST_EXAMPLE = 100


@dataclass(frozen=True)
class Given:
    """The arguments that an object is written with, and what is known of those that it has.

    Attributes:
        kind: of the object.
        name: of the object.
        arguments: as written.
        known: those that the object has.
        catalogue: what Keras has.
    """

    kind: str
    name: str
    arguments: Mapping[str, Any]
    known: Mapping[str, Parameter]
    catalogue: Catalogue

    @property
    def required(self) -> list[str]:
        """The arguments that must be given and are not there under their own name."""
        known = self.known.items()
        return [argument for argument, parameter in known if parameter.required and argument not in self.arguments]

    def meant(self) -> dict[str, str | None]:
        """By each unknown argument: the one that is meant, if that is clear."""
        unknown = [argument for argument in self.arguments if argument not in self.known]
        found = {argument: self._meant_by(argument) for argument in unknown}
        left = [argument for argument in self.required if argument not in found.values()]
        unclear = [argument for argument in unknown if found[argument] is None and not self._is_explained(argument)]
        if len(left) == len(unclear) == 1 and self.fits(left[0], self.arguments[unclear[0]]):
            found[unclear[0]] = left[0]
        return found

    def _meant_by(self, argument: str) -> str | None:
        if self._is_explained(argument):
            return None
        owners = (name for name, others in NAMESAKES.items() if argument in others and name in self.known)
        near = similar(argument, self.known)
        needed = [name for name in near if name in self.required]
        return next(owners, None) or (needed[0] if len(needed) == 1 else near[0] if len(near) == 1 else None)

    def _is_explained(self, argument: str) -> bool:
        return self._explanation(argument) is not None

    def _explanation(self, argument: str) -> str | None:
        """What to do about an argument that this object has not, where it is known what comes of it."""
        if argument == "dropout" and "rate" in self.known:
            return None
        for text, needs in EXPLAINED.get((self.kind, argument), ()):
            if needs is None or needs in self.known:
                value = self.arguments[argument]
                return text.format(name=self.name, value=to_flow(value) if isinstance(value, (int, float)) else "…")
        return None

    def remedy(self, argument: str, meant: str | None) -> str:
        """What to do about an unknown argument, given which one it is meant for."""
        found = tuple_meant(argument, self.arguments) or python_value(argument) or self._explanation(argument)
        if found or meant is None:
            return found or suggestion(argument, self.known)
        return f"Did you mean `{meant}`?{' It is given already.' if meant in self.arguments else ''}"

    def fits(self, argument: str, value: Any) -> bool:
        """Whether an argument surely takes this value."""
        parameter, kind = self.known[argument], kind_of_parameter(argument)
        if kind == "schedule":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        if kind is not None:
            inner = self.catalogue.parameters(kind, value) if isinstance(value, str) else None
            return inner is not None and not any(parameter.required for parameter in inner.values())
        return bool(parameter.types) and not any(check_value(value, parameter, argument, self.name, ()))

    def with_required(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Those of these arguments that the object has, and an example for each other one that must be given."""
        return {
            argument: arguments[argument] if argument in arguments else self._example(argument)
            for argument, parameter in self.known.items()
            if argument in arguments or parameter.required
        }

    def _example(self, argument: str) -> Any:
        value = EXAMPLES.get(argument)
        fits = value is not None and not any(check_value(value, self.known[argument], argument, self.name, ()))
        return value if fits else _UNKNOWN

    def completed(self, meant: Mapping[str, str | None]) -> str:
        """What to write where arguments are missing: all of them, if they are short, under the names that are meant."""
        given = {meant.get(argument) or argument: value for argument, value in self.arguments.items()}
        complete = self.with_required(given)
        added = {argument: value for argument, value in complete.items() if argument not in given}
        written = to_flow(complete) if len(str(given)) < _LONGEST_EXAMPLE else f"{to_flow(added)[:-1]}, …}}"
        return f"Write `{self.name}: {written}`{'' if _UNKNOWN in added.values() else ', for example'}."
