"""The trained model that is exported, and what is known about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from dlcli.data.dataset import OneOrNamed, Reader, named
from dlcli.data.encoding import AnyEncoding, Encodings, restore_encoding
from dlcli.data.looking import restore_reader
from dlcli.data.preparation import AnyPreparation
from dlcli.errors import UsageError
from dlcli.evaluation.evaluating import from_logits
from dlcli.exporting.network import OUTPUT, whole_network
from dlcli.exporting.parts import Part, Taken, parts_of
from dlcli.model.building import by_name
from dlcli.spec.loading import LoadedSpec, restore_spec
from dlcli.training.checkpoint import Checkpoint, Contents


@dataclass(frozen=True)
class Subject:
    """A trained model.

    Attributes:
        checkpoint: where it comes from.
        contents: what that says besides.
        loaded: its spec.
        model: the network.
        preparation: of its raw examples.
        encoding: of its targets.
        reader: what made numbers of files; None where there were none.
        parts: what each of its inputs is made of.
    """

    checkpoint: Checkpoint
    contents: Contents
    loaded: LoadedSpec
    model: keras.Model
    preparation: AnyPreparation
    encoding: AnyEncoding
    reader: Reader | None
    parts: Mapping[str, Part]

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Subject:
        """The model in a checkpoint.

        Raises:
            CheckpointError: Keras cannot make the model, or must not.
            UsageError: plain Keras saved it, so nothing is known about its preparation.
        """
        contents = checkpoint.contents
        if contents is None:
            message = f"{checkpoint.path} was saved by plain Keras: it does not say how its inputs are prepared."
            raise UsageError(message, "`model.export` of Keras writes the network alone.")
        preparation = checkpoint.preparation()
        # Here, and not in a graph: what a Normalization makes of its mean at its first call, it keeps.
        preparation.apply(preparation.stand_ins(1))
        state = contents.data.get("reader")
        reader = restore_reader(state) if state else None
        return cls(
            checkpoint, contents, restore_spec(contents.spec), by_name(checkpoint.model(in_float32=True)), preparation,
            restore_encoding(contents.encoding), reader, parts_of(reader, preparation),
        )  # fmt: skip

    def network(
        self, taken: Mapping[str, Sequence[Taken]], batch_size: int | None = None, *, is_halved: bool = False
    ) -> keras.Model:
        """The model that takes these tensors; see `whole_network`."""
        return whole_network(
            self.model, self.preparation, self.encoding, self.parts, taken, batch_size, is_halved=is_halved
        )

    @property
    def outputs(self) -> list[dict[str, Any]]:
        """What each output is, for signature.json; the only one is called `output`."""
        several = isinstance(self.encoding, Encodings)
        each = self.encoding.each if isinstance(self.encoding, Encodings) else {OUTPUT: self.encoding}
        logits = named(from_logits(self.loaded, dict.fromkeys(each) if several else None), OUTPUT)
        classes: OneOrNamed[Any] = self.contents.class_names
        names = classes if several and isinstance(classes, Mapping) else {OUTPUT: classes}
        found = []
        for name, one in each.items():
            known = names.get(name)
            found.append({"name": name, "gives": _gives(one.kind, logits[name]), "classes": known and list(known)})
        return found


def _gives(kind: str, is_logits: bool) -> str:
    if kind == "input":
        return "the prepared input, as the model draws it anew"
    if kind in ("number", "standardized"):
        return "a number, in the units of the data"
    if kind == "binary":
        what = "a score: its sigmoid is the probability" if is_logits else "the probability"
        return f"{what} of the second class"
    return "a score of each class: their softmax is the probabilities" if is_logits else "the probability of each class"
