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
from pipelines.features import Vocabularies, build_vocabularies, encode
from pipelines.flights import feed, rows
from pipelines.flights.network import Hyperparameters, Network
from pipelines.training import Examples, Schedule, fit

TYPES = {"temp": "double", "carrier": "string", "hour": "long", "dest": "string", "seats": "double"}
SCHEDULE = Schedule(
    epochs=2, batch_size=64, learning_rate=0.003, weight_decay=0.01, patience=2, seed=0
)


def sample() -> pd.DataFrame:
    batch = feed.read_batch("2013-02")
    return batch[rows.label(batch).notna()].sample(1500, random_state=0)


def train(batch: pd.DataFrame) -> tuple[torch.nn.Module, Vocabularies, onnx.ModelProto]:
    vocabularies = build_vocabularies(batch, TYPES)
    inputs = encode(batch, TYPES, vocabularies)
    labels = torch.tensor(rows.label(batch).to_numpy(dtype=np.float32))
    examples, sizes = Examples(inputs, labels), [len(words) + 1 for words in vocabularies.values()]
    fitted = fit(
        lambda: Network(Hyperparameters(), sizes, inputs.numbers), examples, examples, SCHEDULE
    )
    graph = onnx_graph.build_graph(fitted.network, TYPES, vocabularies)
    return fitted.network, vocabularies, graph


@pytest.fixture(scope="module")
def trained() -> tuple[torch.nn.Module, Vocabularies, onnx.ModelProto]:
    return train(sample())


@pytest.fixture(scope="module")
def graph(trained: tuple[torch.nn.Module, Vocabularies, onnx.ModelProto]) -> onnx.ModelProto:
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
    trained: tuple[torch.nn.Module, Vocabularies, onnx.ModelProto],
) -> None:
    network, vocabularies, graph = trained
    asked = feed.read_batch("2013-07").sample(3000, random_state=0)
    assert (~asked["dest"].isin(vocabularies["dest"])).any()
    assert asked["seats"].isna().any()
    assert onnx_graph.max_difference(graph, network, asked, TYPES, vocabularies) < 1e-6


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
    trained: tuple[torch.nn.Module, Vocabularies, onnx.ModelProto], asked: list[dict[str, object]]
) -> None:
    network, vocabularies, graph = trained
    frame = pd.DataFrame(asked).astype({"temp": "float64", "carrier": "object"})
    assert onnx_graph.max_difference(graph, network, frame, TYPES, vocabularies) < 1e-5


def test_a_row_is_answered_the_same_alone_and_among_others(graph: onnx.ModelProto) -> None:
    asked, opened = sample().head(50), asking.session(graph)
    together = asking.predict(opened, asked)
    alone = [asking.predict(opened, asked.iloc[[i]])[0] for i in range(len(asked))]
    np.testing.assert_allclose(alone, together, atol=1e-6)


def test_unknown_strings_share_one_answer_and_known_ones_do_not(graph: onnx.ModelProto) -> None:
    carriers = np.array(["??", "", None, "UA", "B6"], dtype=object)
    asked = sample().head(1).sample(5, replace=True).reset_index(drop=True)
    answers = asking.predict(graph, asked.assign(carrier=carriers))
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
    expected = asking.predict(graph, asked)
    assert (asking.predict(path, asked) == expected).all()
    assert (asking.predict(path.read_bytes(), asked) == expected).all()


def test_absent_features_are_named(graph: onnx.ModelProto) -> None:
    with pytest.raises(KeyError, match="carrier, hour"):
        asking.predict(graph, sample().drop(columns=["carrier", "hour"]))


def test_a_missing_whole_number_is_refused_by_name(graph: onnx.ModelProto) -> None:
    with pytest.raises(ValueError, match="'hour' is a whole number"):
        asking.predict(graph, sample().head(2).assign(hour=[5, np.nan]))


@pytest.mark.parametrize("types", [{"temp": "double"}, {"carrier": "string"}])
def test_a_network_of_one_kind_of_feature_only_is_refused(types: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="a string and a numeric feature"):
        onnx_graph.build_graph(torch.nn.Identity(), types, {"carrier": ("UA",)})
