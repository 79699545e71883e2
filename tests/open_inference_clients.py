"""Every way in which a public client asks: arrays in, a serving process' echo of them out.

NVIDIA's tritonclient, which Triton's and KServe's users have.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import grpc
import numpy as np
import tritonclient.grpc as grpc_client
import tritonclient.grpc.aio as grpc_aio
import tritonclient.http as http_client
import tritonclient.http.aio as http_aio
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.programs import Program
from tests.tensor_models import KINDS, SHAPES

Arrays = dict[str, np.ndarray[Any, Any]]
OUTPUTS = {name: f"{name}_again" for name in SHAPES}
TYPED = {  # gRPC's contents by datatype; FP16 has none
    "BOOL": "bool_contents",
    **dict.fromkeys(["INT8", "INT16", "INT32"], "int_contents"),
    **dict.fromkeys(["UINT8", "UINT16", "UINT32"], "uint_contents"),
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


class Server(NamedTuple):
    """Where serving answers HTTP and gRPC, as the clients want it said."""

    program: Program
    home: Path
    http: str
    grpc: str


def http_inputs(datatype: str, arrays: Arrays, binary: bool) -> list[http_client.InferInput]:
    inputs = []
    for name, array in arrays.items():
        inputs.append(http_client.InferInput(name, list(array.shape), datatype))
        inputs[-1].set_data_from_numpy(array, binary_data=binary)
    return inputs


def grpc_inputs(datatype: str, arrays: Arrays) -> list[grpc_client.InferInput]:
    inputs = []
    for name, array in arrays.items():
        inputs.append(grpc_client.InferInput(name, list(array.shape), datatype))
        inputs[-1].set_data_from_numpy(array)
    return inputs


def received(result: Any) -> Arrays:
    return {name: result.as_numpy(output) for name, output in OUTPUTS.items()}


def over_http(server: Server, datatype: str, arrays: Arrays, **how: Any) -> Arrays:
    inputs = http_inputs(datatype, arrays, how.pop("binary_in"))
    if (binary := how.pop("binary_out", None)) is not None:
        how["outputs"] = [http_client.InferRequestedOutput(o, binary) for o in OUTPUTS.values()]
    with http_client.InferenceServerClient(server.http) as client:
        return received(client.infer(f"echo-{datatype}", inputs, **how))


def over_http_mixed(server: Server, datatype: str, arrays: Arrays) -> Arrays:
    """The first input in JSON, the others binary; the first output binary, the others in JSON."""
    inputs = http_inputs(datatype, arrays, True)
    inputs[0].set_data_from_numpy(arrays["flat"], binary_data=False)
    wanted = [http_client.InferRequestedOutput(o, o == "flat_again") for o in OUTPUTS.values()]
    with http_client.InferenceServerClient(server.http) as client:
        return received(client.infer(f"echo-{datatype}", inputs, outputs=wanted))


def over_http_aio(server: Server, datatype: str, arrays: Arrays) -> Arrays:
    async def ask() -> Arrays:
        async with http_aio.InferenceServerClient(server.http) as client:
            inputs = http_inputs(datatype, arrays, True)
            return received(await client.infer(f"echo-{datatype}", inputs))

    return asyncio.run(ask())


def over_http_async(server: Server, datatype: str, arrays: Arrays) -> Arrays:
    with http_client.InferenceServerClient(server.http) as client:
        inputs = http_inputs(datatype, arrays, True)
        return received(client.async_infer(f"echo-{datatype}", inputs).get_result())


def over_grpc(server: Server, datatype: str, arrays: Arrays, **how: Any) -> Arrays:
    with grpc_client.InferenceServerClient(server.grpc) as client:
        return received(client.infer(f"echo-{datatype}", grpc_inputs(datatype, arrays), **how))


def over_grpc_aio(server: Server, datatype: str, arrays: Arrays) -> Arrays:
    async def ask() -> Arrays:
        async with grpc_aio.InferenceServerClient(server.grpc) as client:
            inputs = grpc_inputs(datatype, arrays)
            return received(await client.infer(f"echo-{datatype}", inputs))

    return asyncio.run(ask())


def over_grpc_async(server: Server, datatype: str, arrays: Arrays) -> Arrays:
    answers: SimpleQueue[Any] = SimpleQueue()
    with grpc_client.InferenceServerClient(server.grpc) as client:
        client.async_infer(
            f"echo-{datatype}",
            grpc_inputs(datatype, arrays),
            lambda result, error: answers.put(error or result),
        )
        answer = answers.get(timeout=30)
    assert isinstance(answer, grpc_client.InferResult), answer
    return received(answer)


def over_grpc_typed(server: Server, datatype: str, arrays: Arrays) -> Arrays:
    """With the contents that have a type, which tritonclient itself never sends."""
    request = service_pb2.ModelInferRequest(model_name=f"echo-{datatype}")
    for name, array in arrays.items():
        tensor = request.inputs.add(name=name, datatype=datatype, shape=array.shape)
        flat = [v.encode() if isinstance(v, str) else v for v in array.ravel().tolist()]
        getattr(tensor.contents, TYPED[datatype]).extend(flat)
    with grpc.insecure_channel(server.grpc) as channel:
        answer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)
    assert not answer.raw_output_contents
    dtype = arrays["flat"].dtype
    got = {o.name: (list(getattr(o.contents, TYPED[datatype])), o.shape) for o in answer.outputs}
    return {
        name: np.array(got[output][0], dtype).reshape(got[output][1])
        for name, output in OUTPUTS.items()
    }


Ask = Callable[[Server, str, Arrays], Arrays]
WAYS: dict[str, Ask] = {
    "http JSON": partial(over_http, binary_in=False, binary_out=False),
    "http binary": partial(over_http, binary_in=True, binary_out=True),
    "http JSON, answered binary": partial(over_http, binary_in=False, binary_out=True),
    "http binary, answered JSON": partial(over_http, binary_in=True, binary_out=False),
    "http as the client likes": partial(over_http, binary_in=True),
    "http mixed": over_http_mixed,
    "http gzip": partial(
        over_http,
        binary_in=True,
        request_compression_algorithm="gzip",
        response_compression_algorithm="gzip",
    ),
    "http deflate": partial(
        over_http,
        binary_in=True,
        request_compression_algorithm="deflate",
        response_compression_algorithm="deflate",
    ),
    "http async": over_http_async,
    "http aio": over_http_aio,
    "grpc": over_grpc,
    "grpc gzip": partial(over_grpc, compression_algorithm="gzip"),
    "grpc async": over_grpc_async,
    "grpc aio": over_grpc_aio,
    "grpc typed": over_grpc_typed,
}
CASES = [  # FP16 has no typed contents
    (datatype, way)
    for datatype in KINDS
    for way in WAYS
    if (datatype, way) != ("FP16", "grpc typed")
]


def words(array: np.ndarray[Any, Any]) -> list[Any]:
    flat = array.ravel().tolist()
    return [value.decode() if isinstance(value, bytes) else value for value in flat]
