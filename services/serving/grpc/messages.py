"""gRPC's messages in, requests and their parts out; what a model answers in, messages out.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_grpc.md
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.serving.errors import RequestError, shown
from services.serving.grpc import open_inference_pb2 as pb
from services.serving.models.kinds import DATATYPES, DTYPES
from services.serving.protocols.infer_request import InferRequest, Tensor, WantedOutput
from services.serving.protocols.open_inference import chosen
from services.serving.protocols.raw_tensors import pack_words, write_raw
from services.serving.queries import Outputs, Query

_HALF = np.dtype("float16")  # comes and goes as raw contents alone
_CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def read_request(message: pb.ModelInferRequest) -> InferRequest:
    """Read an inference request. Raises RequestError."""
    inputs, raw = message.inputs, message.raw_input_contents
    if raw and len(raw) != len(inputs):
        text = (
            f"raw_input_contents: there are {len(raw)}, want one for each of {len(inputs)} inputs"
        )
        raise RequestError(400, text, "raw_input_contents")
    read = _raw_tensor if raw else _typed_tensor
    outputs = [WantedOutput(o.name, _parameters(o.parameters)) for o in message.outputs]
    return InferRequest(
        inputs=[read(tensor, raw[i] if raw else b"") for i, tensor in enumerate(inputs)],
        id=message.id or None,
        parameters=_parameters(message.parameters),
        outputs=outputs,
    )


def answer(
    query: Query, outputs: Outputs, model: str, version: str, raw: bool
) -> pb.ModelInferResponse:
    """Build the response, with raw contents as the request had them, or as a datatype needs."""
    given = chosen(query, outputs)
    message = pb.ModelInferResponse(model_name=model, model_version=version, id=query.id)
    raw = raw or any(array.dtype == _HALF for array in given.values())
    for name, array in given.items():
        datatype = DATATYPES[array.dtype]
        output = message.outputs.add(name=name, shape=array.shape, datatype=datatype)
        if raw:
            message.raw_output_contents.append(write_raw(array))
        else:
            getattr(output.contents, _CONTENTS[datatype]).extend(_values(array))
    return message


def metadata(described: Mapping[str, Any]) -> pb.ModelMetadataResponse:
    """Build a model's metadata from what REST says of it."""
    return pb.ModelMetadataResponse(
        name=described["name"],
        versions=described["versions"],
        platform=described["platform"],
        inputs=[_described(tensor) for tensor in described["inputs"]],
        outputs=[_described(tensor) for tensor in described["outputs"]],
    )


def _raw_tensor(tensor: pb.ModelInferRequest.InferInputTensor, raw: bytes) -> Tensor:
    if tensor.HasField("contents"):
        text = (
            f"field {shown(tensor.name)} has contents and raw_input_contents, want one of the two"
        )
        raise RequestError(400, text, tensor.name)
    return Tensor(tensor.name, list(tensor.shape), tensor.datatype, memoryview(raw))


def _typed_tensor(tensor: pb.ModelInferRequest.InferInputTensor, _: bytes) -> Tensor:
    return Tensor(tensor.name, list(tensor.shape), tensor.datatype, _data(tensor))


def _data(tensor: pb.ModelInferRequest.InferInputTensor) -> Any:
    if tensor.datatype not in DTYPES:
        return None  # which is refused with the datatype that is wanted
    name = _CONTENTS.get(tensor.datatype, "raw_input_contents")
    values = getattr(tensor.contents, name, None)
    if not values:
        wanted = f"the values of {tensor.datatype} there"
        text = f"field {shown(tensor.name)}: {name} is empty, want {wanted}"
        raise RequestError(400, text, tensor.name)
    return memoryview(pack_words(values)) if tensor.datatype == "BYTES" else list(values)


def _parameters(given: Mapping[str, pb.InferParameter]) -> dict[str, Any] | None:
    if not given:
        return None
    parameters = {}
    for name, parameter in given.items():
        kind = parameter.WhichOneof("parameter_choice")
        parameters[name] = getattr(parameter, kind) if kind else None
    return parameters


def _values(array: NDArray[Any]) -> list[Any]:
    values: list[Any] = array.ravel().tolist()
    return [str(word).encode() for word in values] if array.dtype.kind == "O" else values


def _described(tensor: Mapping[str, Any]) -> pb.ModelMetadataResponse.TensorMetadata:
    return pb.ModelMetadataResponse.TensorMetadata(
        name=tensor["name"], datatype=tensor["datatype"], shape=tensor["shape"]
    )
