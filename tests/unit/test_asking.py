"""A graph is asked about rows in parts: each is answered, once, in its place."""

import numpy as np
import pandas as pd
import pytest
from onnx import TensorProto, helper

from pipelines.asking import AT_ONCE, predict


@pytest.mark.parametrize("rows", [0, 1, AT_ONCE, AT_ONCE + 1, 2 * AT_ONCE + 3])
def test_every_row_has_its_answer(rows: int) -> None:
    given, said = (
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch"]) for name in ("n", "sum")
    )
    nodes = [helper.make_node("Add", ["n", "n"], ["sum"])]
    opsets = [helper.make_opsetid("", 20)]
    graph = helper.make_model(
        helper.make_graph(nodes, "twice", [given], [said]), opset_imports=opsets, ir_version=10
    )
    asked = pd.DataFrame({"n": np.arange(rows)})
    assert predict(graph, asked)["sum"].tolist() == [2 * n for n in range(rows)]
