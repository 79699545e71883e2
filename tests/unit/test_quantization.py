import numpy as np
import onnx
import pandas as pd
import pytest
import torch

from pipelines import asking, onnx_graph
from pipelines.features import TableEncoder
from pipelines.flights.network import Hyperparameters, build
from pipelines.policy import Column, Optimize
from pipelines.quantization import CALLS, Gain, medians, quantize

FEATURES = {"carrier": Column(type="string"), "temp": Column(type="double")}
LIMITS = Optimize(method="int8", max_score_loss=0.001, min_speedup=1.1)
GOOD = {"bytes": (1000, 350), "seconds": (2e-3, 1e-3), "log_loss": (0.5, 0.5009)}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    carriers = generator.choice(["AA", "DL", "UA"], 500)
    return pd.DataFrame({"carrier": carriers, "temp": generator.normal(size=500)})


@pytest.fixture(scope="module")
def graph(rows: pd.DataFrame) -> onnx.ModelProto:
    torch.manual_seed(0)
    encoder = TableEncoder.fit(rows, FEATURES)
    network = build(Hyperparameters(hidden=256), encoder, encoder.encode(rows)).eval()
    return onnx_graph.build_graph(network, encoder, rows)


def test_eight_bits_are_a_third_of_the_size_and_nearly_the_same_answers(
    graph: onnx.ModelProto, rows: pd.DataFrame
) -> None:
    smaller = quantize(graph)
    assert smaller.ByteSize() < 0.35 * graph.ByteSize()
    ours, theirs = (asking.predict(each, rows)["probability"] for each in (graph, smaller))
    assert 0 < np.abs(ours - theirs).max() < 0.01
    names = [[each.name for each in g.graph.input] for g in (graph, smaller)]
    assert names[0] == names[1]


def test_the_same_graph_gives_the_same_bytes(graph: onnx.ModelProto) -> None:
    assert quantize(graph).SerializeToString() == quantize(graph).SerializeToString()


def test_a_gain_is_measured_and_told(graph: onnx.ModelProto, rows: pd.DataFrame) -> None:
    gain = Gain.measure(graph, quantize(graph), rows.head(1), (0.5, 0.501))
    assert gain.bytes[1] < gain.bytes[0]
    assert min(gain.seconds) > 0
    assert gain.tags()["relay.optimize.log_loss"] == "0.5000 -> 0.5010 (+0.0010)"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, []),
        ({"log_loss": (0.5, 0.5011)}, ["log loss +0.0011, allowed +0.001"]),
        ({"log_loss": (0.5, float("nan"))}, ["log loss +nan, allowed +0.001"]),
        ({"seconds": (1e-3, 1e-3)}, ["1.00 times as fast, wanted 1.1"]),
        ({"log_loss": (0.5, 0.4)}, []),
    ],
)
def test_it_is_kept_only_if_it_is_as_good_and_faster(
    change: dict[str, tuple[float, float]], why: list[str]
) -> None:
    assert Gain(**{**GOOD, **change}).faults(LIMITS) == why  # type: ignore[arg-type]


def test_calls_take_turns() -> None:
    called: list[str] = []
    medians(lambda: called.append("a"), lambda: called.append("b"))
    assert called == ["a", "b"] * CALLS
