"""The servers that are measured: how each is started, asked, and its answer read."""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

SERVICES = Path(__file__).parent / "peers"
DATATYPES = {"O": "BYTES", "f": "FP32", "i": "INT64"}  # by numpy's kind
Columns = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a server finds what it needs: `network` is the ONNX file of the tensor model."""

    home: Path
    port: int
    mlflow_url: str
    network: Path
    answers: Path
    peers: Path | None


@dataclass(frozen=True)
class Contender:
    """One server. `path` has the model's name as {model}."""

    name: str
    command: Callable[[Place], Sequence[str]]
    health: tuple[str, ...]
    path: str
    body: Callable[[str, Columns], bytes]
    numbers: Callable[[Any], Any]  # the answer's JSON -> its numbers, of whatever shape
    env: Callable[[Place], Mapping[str, str]] = field(default=lambda place: {})
    models: tuple[str, ...] = ("tensor",)
    fixed: bool = False  # gives the first body's answer to each
    tuned: bool = False  # set otherwise than it comes
    environment: str = ""  # its folder under RELAY_BENCH_PEERS; none: it is in ours


def open_inference(model: str, columns: Columns) -> bytes:
    """Write a request of the Open Inference Protocol V2."""
    tensors = []
    for name, values in columns.items():
        datatype = DATATYPES[values.dtype.kind]
        data = plain(values.ravel())
        tensors.append(
            {"name": name, "shape": list(values.shape), "datatype": datatype, "data": data}
        )
    return compact({"inputs": tensors})


def plain(values: Any) -> Any:
    """Turn an array into lists, its numbers as short as they were meant."""
    return (
        np.round(values.astype(float), 4).tolist() if values.dtype.kind == "f" else values.tolist()
    )


def compact(content: Any) -> bytes:
    """Write JSON on one line."""
    return json.dumps(content, separators=(",", ":")).encode()


def _first_output(answer: Any) -> Any:
    return answer["outputs"][0]["data"]


OURS = Contender(
    name="relay",
    command=lambda place: [sys.executable, "-m", "services.serving"],
    env=lambda place: {
        "RELAY_HOME": str(place.home),
        "RELAY_MLFLOW_URL": place.mlflow_url,
        "RELAY_SERVING_PORT": str(place.port),
        "RELAY_SERVING_GRPC_PORT": "0",
    },
    health=("/v2/models/tensor/ready", "/v2/models/table/ready"),
    path="/v2/models/{model}/infer",
    body=open_inference,
    numbers=_first_output,
    models=("tensor", "table"),
)
BARE = Contender(
    name="bare HTTP",
    command=lambda place: [
        *(sys.executable, "-m", "tests.load.bare"),
        *(str(place.answers), str(place.port)),
    ],
    health=("/health",),
    path="/{model}-{rows}",
    body=open_inference,
    numbers=_first_output,
    models=("tensor", "table"),
    fixed=True,
)
MLFLOW = Contender(
    name="mlflow models serve",
    command=lambda place: [
        *(sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"),
        *("-m", "models:/tensor@champion", "-h", "127.0.0.1", "-p", str(place.port)),
    ],
    env=lambda place: {
        "MLFLOW_TRACKING_URI": place.mlflow_url,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",  # it starts uvicorn
    },
    health=("/ping",),
    path="/invocations",
    body=lambda model, columns: compact({"inputs": {"x": plain(columns["x"])}}),
    numbers=lambda answer: answer["predictions"]["y"],
)


MLSERVER = Contender(
    name="MLServer",
    command=lambda place: [
        f"{place.peers}/mlserver/bin/mlserver",
        "start",
        str(SERVICES / "mlserver"),
    ],
    env=lambda place: {
        "NETWORK": str(place.network),
        "MLSERVER_HTTP_PORT": str(place.port),
        "MLSERVER_GRPC_PORT": "0",
        "MLSERVER_METRICS_PORT": "0",
    },
    health=("/v2/models/network/ready",),
    path="/v2/models/network/infer",
    body=open_inference,
    numbers=_first_output,
    environment="mlserver",
)
BENTOML = Contender(
    name="BentoML",
    command=lambda place: [
        *(f"{place.peers}/bentoml/bin/bentoml", "serve", "bentoml_service:Network"),
        *("--working-dir", str(SERVICES), "--host", "127.0.0.1", "--port", str(place.port)),
    ],
    env=lambda place: {
        "NETWORK": str(place.network),
        "BENTOML_HOME": str(place.home),
        "BENTOML_DO_NOT_TRACK": "True",
    },
    health=("/readyz",),
    path="/predict",
    body=lambda model, columns: compact({"x": plain(columns["x"])}),
    numbers=lambda answer: answer,
    environment="bentoml",
)
LITSERVE = Contender(
    name="LitServe",
    command=lambda place: [
        f"{place.peers}/litserve/bin/python",
        str(SERVICES / "litserve_server.py"),
    ],
    env=lambda place: {"NETWORK": str(place.network), "PORT": str(place.port)},
    health=("/health",),
    path="/predict",
    body=lambda model, columns: compact({"x": plain(columns["x"])}),
    numbers=lambda answer: answer["y"],
    environment="litserve",
)
ONE_PROCESS = replace(
    MLSERVER,
    name="MLServer, one process",  # https://docs.seldon.ai/mlserver/user-guide/parallel-inference
    env=lambda place: {**MLSERVER.env(place), "MLSERVER_PARALLEL_WORKERS": "0"},
    tuned=True,
)
ALL = {
    "relay": OURS,
    "bare": BARE,
    "mlflow": MLFLOW,
    "mlserver": MLSERVER,
    "mlserver-one-process": ONE_PROCESS,
    "bentoml": BENTOML,
    "litserve": LITSERVE,
}
