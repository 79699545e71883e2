"""The shapes of what endpoints give and, where no decoder has one, take: for the description.

That the server keeps to them is held by a test that sends it generated requests.
"""

from typing import Any

import msgspec


class Live(msgspec.Struct):
    """The process runs."""

    live: bool


class Ready(msgspec.Struct):
    """A model is served."""

    ready: bool


class Accepted(msgspec.Struct):
    """An event was taken."""

    accepted: bool


class Event(msgspec.Struct):
    """What MLflow's webhook sends; that the registry has changed is all that is taken from it."""

    entity: str
    action: str
    data: dict[str, Any]
    timestamp: str


class Server(msgspec.Struct):
    """Open Inference's server metadata."""

    name: str
    version: str
    extensions: list[str]


class ModelReady(msgspec.Struct):
    """A model, or a version of it, is served."""

    name: str
    ready: bool


class TensorMetadata(msgspec.Struct):
    """An input or output; -1 is a size that is not fixed."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class Model(msgspec.Struct):
    """Open Inference's model metadata."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    parameters: dict[str, str]


class OutputTensor(msgspec.Struct):
    """An output; `data` is flat, and behind the JSON where binary was asked for."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | msgspec.UnsetType = msgspec.UNSET
    parameters: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class Inferred(msgspec.Struct):
    """Open Inference's answer."""

    model_name: str
    model_version: str
    id: str
    outputs: list[OutputTensor]


class Invocation(msgspec.Struct):
    """MLflow's scoring request: exactly one of the first four."""

    dataframe_split: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    dataframe_records: list[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET
    inputs: list[Any] | dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    instances: list[Any] | dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    params: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class Predictions(msgspec.Struct):
    """MLflow's answer: records, values, or columns by name."""

    predictions: list[Any] | dict[str, Any]
