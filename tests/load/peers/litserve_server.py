"""LitServe: `{"x": [[16 numbers] a row]}` in, `{"y": [[y] a row]}` out.

https://lightning.ai/docs/litserve/home/get-started. `NETWORK` is the path of the ONNX file, `PORT`
where to listen.
"""

import os
from typing import Any

import litserve
import numpy as np
import onnxruntime


class Network(litserve.LitAPI):
    """The network of `x` [rows, 16] that gives `y` [rows, 1]."""

    def setup(self, device: str) -> None:
        """Open the graph on one thread."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["NETWORK"], options)

    def decode_request(self, request: dict[str, Any]) -> Any:
        """Read the rows."""
        return np.asarray(request["x"], dtype=np.float32)

    def predict(self, x: Any) -> Any:
        """Compute them."""
        return self.session.run(["y"], {"x": x})[0]

    def encode_response(self, y: Any) -> dict[str, Any]:
        """Write the answer."""
        return {"y": y.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Network(), accelerator="cpu")
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
    )
