"""The grammar of a spec, as pydantic models: these classes *are* the grammar. Frozen data, no TensorFlow in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    SerializeAsAny,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from dlcli.spec.by_class import CLASS_WEIGHT, OVERSAMPLE, check_class_weight, check_oversample
from dlcli.spec.by_output import WORD, each_loss, each_metrics, plain
from dlcli.spec.characters import shortened
from dlcli.spec.held_out import VALIDATION_SCHEMA, Fold, check_fold, check_folds, check_validation
from dlcli.spec.keras_objects import (
    LAYER_WORDS,
    NAMES_READ,
    KerasObject,
    LayerEntry,
    layers_within,
    names_read,
    split_object,
)
from dlcli.spec.likeness import suggestion
from dlcli.spec.mlflow_read import OrBoolean, mlflow_read
from dlcli.spec.refusals import refusal, within
from dlcli.spec.remedies import python_name
from dlcli.spec.source import Count, Seed, Source
from dlcli.spec.sources import SOURCES
from dlcli.spec.sources_folders import VALIDATION_FOLDER, Folders
from dlcli.spec.strict import List, Part
from dlcli.spec.sweep import SweepSpec

Items = TypeVar("Items", list[Any], tuple[Any, ...])
# A name becomes a folder under runs/.
RUN_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$"
Name = Annotated[str, Field(pattern=RUN_NAME, max_length=100)]


Word = Annotated[str, Field(pattern=WORD)]
_MOST_NESTED = 20
# Keras's layers begin with a capital.
BLOCK_NAME = r"^[a-z][A-Za-z0-9_]*$"
# Why a warning is silenced: for whoever reads the spec.
Reason = Annotated[str, Field(min_length=3)]


def _not_empty(layers: Items) -> Items:
    # Not pydantic's `min_length`, which does not count the items that are wrong and says so besides.
    if not layers:
        raise refusal("must not be empty")
    return layers


def _parse_source(raw: Any) -> Any:
    if isinstance(raw, Source):
        return raw
    name, arguments = split_object(raw, "a source name")
    if name not in SOURCES:
        hint = python_name(name) or suggestion(name, SOURCES)
        raise refusal(f"is wrong: `{shortened(name)}` is not a source", hint)
    return within((name,), lambda: SOURCES[name](**arguments))


class DatasetSpec(Part):
    """Where examples come from, how they are split, and what is done to them before the model sees them."""

    source: SerializeAsAny[Source]
    """where the examples come from"""
    fallback: SerializeAsAny[Source] | None = None
    """the source to use, loudly, if the first cannot be reached"""
    validation: Annotated[float | str | None, BeforeValidator(check_validation), WithJsonSchema(VALIDATION_SCHEMA)] = (
        None
    )
    """a fraction of the training examples (stratified by class), or `test` for the test set; `folder` for `images`,
    `text` and `video` that have a folder for it beside `train`"""
    folds: Annotated[int, Field(ge=2)] | None = None
    """how many parts the training examples are divided into: training is done once for each, which validates it"""
    fold: Count | None = None
    """the one of the folds to train for alone, counted from 1"""
    test: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.2
    """the fraction held out for testing where the source has no test set of its own"""
    preparation: List[KerasObject] | None = None
    """Keras preprocessing layers, instead of those that the source's kind gets by default"""
    augment: List[KerasObject] = ()
    """Keras layers applied to the training examples only"""
    labels: Literal["auto", "integer", "one_hot", "standardized", "input"] = "auto"
    """how classes are encoded: `auto` as the loss needs it; numbers `standardized`; `input`, for an autoencoder"""
    batch_size: Count = 32
    """how many examples one step of training sees"""
    shuffle: bool = True
    """whether the training examples come in a new order in each epoch"""

    @field_validator("source", mode="before")
    @classmethod
    def _source(cls, raw: Any) -> Any:
        return _parse_source(raw)

    @field_validator("validation")
    @classmethod
    def _validation_in_a_folder(cls, value: Any, info: ValidationInfo) -> Any:
        source = info.data.get("source")
        if value == VALIDATION_FOLDER and source is not None and not isinstance(source, Folders):
            text = "must be a fraction, or `test`: only `images`, `text` and `video` have it in a folder"
            raise PydanticCustomError("expected", text)
        return value

    @field_validator("folds")
    @classmethod
    def _folds(cls, value: int | None, info: ValidationInfo) -> int | None:
        return check_folds(value, info.data.get("validation"))

    @field_validator("fold")
    @classmethod
    def _fold(cls, value: int | None, info: ValidationInfo) -> int | None:
        return check_fold(value, info.data["folds"]) if "folds" in info.data else value

    @field_validator("fallback", mode="before")
    @classmethod
    def _fallback(cls, raw: Any) -> Any:
        return None if raw is None else _parse_source(raw)

    @property
    def has_all_folds(self) -> bool:
        """Whether there are folds to train for, one after another."""
        return self.folds is not None and self.fold is None

    @property
    def held_out_fold(self) -> Fold | None:
        """The fold that is held out; of all of them, what is told of the data is told of the first."""
        return None if self.folds is None else Fold(self.fold or 1, self.folds)

    @property
    def is_validated(self) -> bool:
        """Whether there are examples to validate with."""
        return self.validation is not None or self.folds is not None


def _not_too_deep(layers: Any) -> Any:
    """Refuses models within models without end, as a checkpoint of a stranger may have them."""
    entries, depth = layers, 0
    while isinstance(entries, list) and entries:
        if depth > _MOST_NESTED:
            raise refusal(f"has models within models, more than {_MOST_NESTED} deep")
        entries, depth = [inner for entry in entries for inner in layers_within(entry)[1]], depth + 1
    return layers


def _named_blocks(raw: Any) -> Any:
    for name in raw if isinstance(raw, Mapping) else ():
        if not isinstance(name, str) or not re.search(BLOCK_NAME, name) or name in LAYER_WORDS:
            text = f"is wrong: `{shortened(str(name))}` cannot be the name of a block"
            hint = "It begins with a small letter, unlike Keras's layers, and goes on with letters, digits and `_`."
            raise refusal(text, hint if name not in LAYER_WORDS else "It has a meaning beside a layer.", (name,))
    return {} if raw is None else raw


class BlockSpec(Part):
    """Layers that are used as one, as often as wanted."""

    parameters: Mapping[Word, Any] = {}
    """what `${name}` stands for in its layers, if a use says nothing else; empty: each use must say"""
    inputs: Annotated[List[Word], AfterValidator(_not_empty), Field(json_schema_extra={"minItems": 1})] = ("input",)
    """its own names for what it reads"""
    layers: Annotated[list[Any], AfterValidator(_not_empty), Field(json_schema_extra={"minItems": 1})]
    """its layers, which read each other and its inputs; the last one is what it puts out"""


class ModelSpec(Part):
    """The network."""

    blocks: Annotated[Mapping[str, BlockSpec], BeforeValidator(_named_blocks)] = {}
    """groups of layers, by names that are used like those of Keras's layers"""
    layers: Annotated[
        List[LayerEntry],
        BeforeValidator(_not_too_deep),
        AfterValidator(_not_empty),
        Field(json_schema_extra={"minItems": 1}),
    ]
    """the layers, each of which reads the one above it unless `inputs` says otherwise"""
    outputs: Annotated[str | tuple[str, ...] | None, BeforeValidator(names_read), WithJsonSchema(NAMES_READ)] = None
    """the layers whose outputs are the model's; left out: the last one, or those named after what the data asks for"""


class CheckpointSpec(Part):
    """When checkpoints are written besides at the ends of epochs, and how many earlier ones are kept."""

    every_minutes: Annotated[float, Field(gt=0)] | None = None
    """write one when so many minutes have passed since the last one, in the middle of an epoch, too"""
    every_steps: Count | None = None
    """write one when so many steps have been done since the last one"""
    keep: Annotated[int, Field(ge=0)] = 0
    """how many of them to keep beside last.h5 and best.h5, the newest ones"""


class DivergenceSpec(Part):
    """What happens when the loss is no longer a number."""

    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """what the learning rate is multiplied by each time"""
    retries: Count = 3
    """how often training goes back before it is stopped"""


class MlflowSpec(Part):
    """Where MLflow keeps what it is told of a run."""

    tracking_uri: Annotated[str, Field(min_length=1)] | None = None
    """a server or a database, such as `http://127.0.0.1:5000` or `sqlite:///mlflow.db`; left out: as MLflow has it,
    by $MLFLOW_TRACKING_URI"""
    experiment: Annotated[str, Field(min_length=1)] | None = None
    """what its run is listed under; left out: the spec's name"""


class TrainSpec(Part):
    """How long to train, and what happens meanwhile."""

    epochs: Count = 1
    """how often the training examples are gone through"""
    callbacks: List[KerasObject] = ()
    """what happens during training, such as stopping early"""
    class_weight: Annotated[
        Literal["balanced"] | Mapping[str, float] | None,
        PlainValidator(check_class_weight),
        WithJsonSchema(CLASS_WEIGHT),
    ] = None
    """how much the examples of a class count in training, by its name; `balanced`: all classes as much as each other"""
    oversample: Annotated[
        Literal["balanced"] | Mapping[str, float] | None, PlainValidator(check_oversample), WithJsonSchema(OVERSAMPLE)
    ] = None
    """how many times as often the examples of a class come in an epoch, by its name; `balanced`: each class as often as
    the most frequent"""
    strategy: Literal["auto", "none", "mirrored", "multi_worker"] = "auto"
    """among what each batch is divided: `mirrored`: the devices of this machine; `multi_worker`: processes, on one
    machine or several; `auto`: workers where the environment names some, or else the GPUs where there are several"""
    tensorboard: bool = False
    """whether what TensorBoard shows is written into the run's folder: figures, network, weights, images"""
    mlflow: Annotated[MlflowSpec | None, BeforeValidator(mlflow_read), OrBoolean()] = None
    """whether MLflow is told of the run: its figures, its spec and its best checkpoint; and where it keeps them"""
    monitor: str | None = None
    """the figure by which `best.h5` is chosen; left out: `val_loss`, or `loss` where nothing is held out"""
    mode: Literal["auto", "min", "max"] = "auto"
    """whether a smaller or a larger figure is better; `auto` tells by the figure's name"""
    checkpoint: CheckpointSpec = CheckpointSpec()
    """when checkpoints are written in the middle of epochs, and how many earlier ones are kept"""
    divergence: DivergenceSpec | None = None
    """when the loss is no longer a number: go back and on with a smaller learning rate; left out: stop"""

    @field_validator("tensorboard")
    @classmethod
    def _tensorboard_once(cls, value: bool, info: ValidationInfo) -> bool:
        if value and any(callback.name == "TensorBoard" for callback in info.data.get("callbacks", ())):
            raise refusal("is for a spec without the callback `TensorBoard`, which writes the same", "Leave one out.")
        return value


_PRECISION_ELSEWHERE = {
    **dict.fromkeys(("float16", "fp16", "f16", "half", "16", "16-mixed", "mixed", "amp"), "mixed_float16"),
    **dict.fromkeys(("bfloat16", "bf16", "bf16-mixed"), "mixed_bfloat16"),
    **dict.fromkeys(("32", "fp32", "f32", "float", "single", "32-true"), "float32"),
}


def _precision_meant(raw: Any) -> Any:
    meant = _PRECISION_ELSEWHERE.get(str(raw).lower())
    if meant is not None and not isinstance(raw, bool):
        allowed = "`float32`, `mixed_float16` or `mixed_bfloat16`"
        raise refusal(f"must be {allowed}; received `{raw}`", f"Write `{meant}`.")
    return raw


VERSION = 1
"""the version of the grammar that this dlcli reads"""


class Spec(Part):
    """One YAML file, validated; `extends` and `variables` are resolved before (see `dlcli.spec.composition`)."""

    version: Annotated[int, Field(ge=1, le=VERSION)] = VERSION
    """the version of this grammar that the file is written in"""
    name: Name
    """the folder of its runs; left out: the file's name"""
    seed: Seed = 0
    """of weights, shuffling, dropout and splits"""
    deterministic: bool = False
    """whether TensorFlow takes slower ways where the faster ones may give other bits each time"""
    precision: Annotated[Literal["float32", "mixed_float16", "mixed_bfloat16"], BeforeValidator(_precision_meant)] = (
        "float32"
    )
    """in which numbers layers compute: `mixed_…` in 16 bits, with weights and outputs in 32; for GPUs"""
    dataset: DatasetSpec
    model: ModelSpec
    loss: Annotated[
        KerasObject | Mapping[str, KerasObject], PlainValidator(each_loss), PlainSerializer(plain), WithJsonSchema({})
    ]
    """what training makes small; for several outputs, one each by its name"""
    loss_weights: Mapping[str, Annotated[float, Field(ge=0, strict=False)]] | None = None
    """how much the loss of each of several outputs counts; left out: 1"""
    optimizer: KerasObject = KerasObject.model_validate("RMSprop")
    """Keras's own default is RMSprop, too"""
    metrics: Annotated[
        tuple[KerasObject, ...] | Mapping[str, tuple[KerasObject, ...]],
        PlainValidator(each_metrics),
        PlainSerializer(plain),
        WithJsonSchema({}),
    ] = ()
    """what is measured besides the loss; for several outputs, one or a list for each by its name"""
    train: TrainSpec = TrainSpec()
    sweep: SweepSpec | None = None
    """what `dlcli sweep` searches for"""
    extensions: List[str] = ()
    """Python files beside this one, with layers and more of one's own; run only if the command says --trust-code"""
    silence: Mapping[str, Reason] = {}
    """warnings that are meant: the code of each, and why"""

    def resolved(self) -> dict[str, Any]:
        """What is trained, as plain data with every default filled in; reading it again gives an equal spec.

        It has no `sweep`, which training does not heed.
        """
        plain = dict(_plain(self.model_dump(exclude={"sweep"})), name=self.name)
        del plain["model"]["blocks"]  # they are written out
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
