"""BentoML: `{"x": [[16 numbers] a row]}` in, `[[y] a row]` out.

https://docs.bentoml.com/en/latest/get-started/hello-world.html. `NETWORK` is the ONNX file's path.
"""

import os
from typing import Annotated

import bentoml
import numpy as np
import onnxruntime
from bentoml.validators import DType, Shape
from numpy.typing import NDArray

Rows = Annotated[NDArray[np.float32], DType("float32"), Shape((-1, 16))]


@bentoml.service(workers=1)
class Network:
    """The network of `x` [rows, 16] that gives `y` [rows, 1]."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["NETWORK"], options)

    @bentoml.api
    def predict(self, x: Rows) -> NDArray[np.float32]:
        """Answer one request."""
        (y,) = self.session.run(["y"], {"x": x})
        return y
