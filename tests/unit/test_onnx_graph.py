import getpass
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines import asking, onnx_graph
from pipelines.features import TableEncoder
from pipelines.flights import feed, rows
from pipelines.flights.network import Hyperparameters, build
from pipelines.learning import Schedule
from pipelines.losses import binary
from pipelines.policy import Column
from pipelines.training import Examples, fit

FEATURES = {
    "temp": Column(type="double"),
    "carrier": Column(type="string"),
    "hour": Column(type="long"),
    "dest": Column(type="string"),
    "seats": Column(type="double"),
}
Trained = tuple[torch.nn.Module, TableEncoder, onnx.ModelProto]
SCHEDULE = Schedule(
    epochs=2, batch_size=64, learning_rate=0.003, weight_decay=0.01, patience=2, seed=0
)


def sample() -> pd.DataFrame:
    batch = feed.read_batch("2013-02")
    return batch[rows.label(batch).notna()].sample(1500, random_state=0)


def train(batch: pd.DataFrame) -> Trained:
    encoder = TableEncoder.fit(batch, FEATURES)
    inputs = encoder.encode(batch)
    examples = Examples(inputs, torch.tensor(rows.label(batch).to_numpy(dtype=np.float32)))
    fitted = fit(
        lambda: build(Hyperparameters(), encoder, inputs), examples, examples, SCHEDULE, binary
    )
    return fitted.network, encoder, onnx_graph.build_graph(fitted.network, encoder, batch)


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train(sample())


@pytest.fixture(scope="module")
def graph(trained: Trained) -> onnx.ModelProto:
    return trained[2]


def test_inputs_are_raw_features_and_the_output_is_a_probability(graph: onnx.ModelProto) -> None:
    opened = asking.session(graph)
    assert {i.name: (i.type, i.shape) for i in opened.get_inputs()} == {
        "temp": ("tensor(float)", ["batch"]),
        "carrier": ("tensor(string)", ["batch"]),
        "hour": ("tensor(int64)", ["batch"]),
        "dest": ("tensor(string)", ["batch"]),
        "seats": ("tensor(float)", ["batch"]),
    }
    output = opened.get_outputs()
    assert [(o.name, o.type, o.shape) for o in output] == [
        ("probability", "tensor(float)", ["batch"])
    ]


def test_graph_and_network_agree_on_rows_from_another_season(
    trained: Trained,
) -> None:
    network, encoder, graph = trained
    asked = feed.read_batch("2013-07").sample(3000, random_state=0)
    assert (~asked["dest"].isin(encoder.vocabularies["dest"])).any()
    assert asked["seats"].isna().any()
    assert onnx_graph.max_difference(graph, network, encoder, asked) < 1e-6


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "temp": st.floats(width=32) | st.none(),
                "carrier": st.sampled_from(["UA", "B6", "", "ünknown"]) | st.text() | st.none(),
                "hour": st.integers(-(2**63), 2**63 - 1),
                "dest": st.sampled_from(["IAH", "LEX"]),
                "seats": st.floats(0, 500, width=32),
            }
        ),
        min_size=1,
        max_size=5,
    )
)
def test_graph_and_network_agree_on_anything(
    trained: Trained, asked: list[dict[str, object]]
) -> None:
    network, encoder, graph = trained
    frame = pd.DataFrame(asked).astype({"temp": "float64", "carrier": "object"})
    assert onnx_graph.max_difference(graph, network, encoder, frame) < 1e-5


def test_a_row_is_answered_the_same_alone_and_among_others(graph: onnx.ModelProto) -> None:
    asked, opened = sample().head(50), asking.session(graph)
    together = asking.predict(opened, asked)["probability"]
    alone = [asking.predict(opened, asked.iloc[[i]])["probability"][0] for i in range(len(asked))]
    np.testing.assert_allclose(alone, together, atol=1e-6)


def test_unknown_strings_share_one_answer_and_known_ones_do_not(graph: onnx.ModelProto) -> None:
    carriers = np.array(["??", "", None, "UA", "B6"], dtype=object)
    asked = sample().head(1).sample(5, replace=True).reset_index(drop=True)
    answers = asking.predict(graph, asked.assign(carrier=carriers))["probability"]
    assert len(set(answers[:3])) == 1
    assert len(set(answers)) == 3


def test_training_again_gives_the_same_bytes(graph: onnx.ModelProto) -> None:
    again = train(sample())[2]
    assert again.SerializeToString(deterministic=True) == graph.SerializeToString(
        deterministic=True
    )


def test_the_graph_says_nothing_of_the_machine_it_was_made_on(graph: onnx.ModelProto) -> None:
    text = graph.SerializeToString()
    for trace in (str(Path(__file__).parents[2]), str(Path.home()), getpass.getuser() + "/", ".py"):
        assert trace.encode() not in text


def test_a_saved_graph_answers_the_same(graph: onnx.ModelProto, tmp_path: Path) -> None:
    asked, path = sample().head(20), tmp_path / "model.onnx"
    onnx.save(graph, path)
    expected = asking.predict(graph, asked)["probability"]
    for source in (path, path.read_bytes()):
        assert (asking.predict(source, asked)["probability"] == expected).all()


def test_absent_features_are_named(graph: onnx.ModelProto) -> None:
    with pytest.raises(KeyError, match="carrier, hour"):
        asking.predict(graph, sample().drop(columns=["carrier", "hour"]))


def test_a_missing_whole_number_is_refused_by_name(graph: onnx.ModelProto) -> None:
    with pytest.raises(ValueError, match="'hour' is a whole number"):
        asking.predict(graph, sample().head(2).assign(hour=[5, np.nan]))


class Seen(torch.nn.Module):
    """Answers with what it is asked, and with a class."""

    def forward(self, **inputs: torch.Tensor) -> torch.Tensor:
        return torch.cat([tensor.flatten(1).float() for tensor in inputs.values()], dim=1)

    def answer(self, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        seen = self(**inputs)
        return {"seen": seen, "largest": seen.argmax(dim=1), "total": seen.sum(dim=1)}


@pytest.mark.parametrize(
    "features",
    [
        {"temp": Column(type="double")},
        {"carrier": Column(type="string")},
        {"pixels": Column(type="double", shape=(2, 2))},
        {
            "carrier": Column(type="string"),
            "pixels": Column(type="double", shape=(2, 2)),
            "temp": Column(type="double"),
        },
    ],
)
def test_features_of_any_kinds_go_in_and_outputs_of_any_shape_come_out(
    features: dict[str, Column],
) -> None:
    frame = pd.DataFrame(
        {"carrier": ["UA", "B6", "UA"], "temp": [1.5, 2.5, -3], "pixels": list(np.eye(4)[:3])}
    )
    encoder = TableEncoder.fit(frame, features)
    graph = onnx_graph.build_graph(Seen(), encoder, frame)
    shapes = {each.name: each.shape for each in asking.session(graph).get_inputs()}
    assert shapes == {name: ["batch", *column.shape] for name, column in features.items()}
    answers = asking.predict(graph, frame)
    assert [array.ndim for array in answers.values()] == [2, 1, 1]
    assert answers["largest"].dtype == np.int64
    assert onnx_graph.max_difference(graph, Seen(), encoder, frame) == 0
    assert len(asking.predict(graph, frame.head(1))["seen"]) == 1
