"""MLServer: an inference request in, the network's answer out.

https://docs.seldon.ai/mlserver/user-guide/custom. `NETWORK` is the path of the ONNX file.
"""

import os

import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import (
    InferenceRequest,
    InferenceResponse,
)


class Network(MLModel):
    """The network of `x` [rows, 16] that gives `y` [rows, 1]."""

    async def load(self) -> bool:
        """Open the graph on one thread."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["NETWORK"], options)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer one request."""
        x = NumpyCodec.decode_input(payload.inputs[0])
        (y,) = self.session.run(["y"], {"x": x})
        outputs = [NumpyCodec.encode_output("y", y)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
