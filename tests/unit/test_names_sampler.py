"""The graph that makes names up, beside the network that it was made of."""

import pandas as pd
import pytest
import torch
from onnx import ModelProto
from torch import nn

from pipelines.asking import predict
from pipelines.names.letters import BOUNDARY, CONTEXT, FIRST, UNKNOWN, Encoder
from pipelines.names.network import Hyperparameters, Network, build
from pipelines.names.sampler import companions
from pipelines.policy import Column

ROWS = pd.DataFrame({"name": ["ABC", "DÖ"]})


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.fit(ROWS, {"name": Column(type="string", feature=True)})


@pytest.fixture(scope="module")
def network(encoder: Encoder) -> Network:
    torch.manual_seed(0)
    network = build(Hyperparameters(channels=8, heads=2, layers=1), encoder, encoder.encode(ROWS))
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5)
    return network.eval()


@pytest.fixture(scope="module")
def graph(network: Network, encoder: Encoder) -> ModelProto:
    return companions(network, encoder)["sampler"].graph


def draw(graph: ModelProto, **columns: object) -> list[str]:
    asked = pd.DataFrame({"prefix": "", "temperature": 1.0, "seed": 0} | columns, index=None)
    names: list[str] = predict(graph, asked)["name"].tolist()
    return names


def test_the_same_seed_is_the_same_name_alone_or_in_a_batch(graph: ModelProto) -> None:
    seeds = [*range(20), -1, 2**63 - 1, -(2**63)]
    together = draw(graph, seed=seeds)
    assert together == [draw(graph, seed=[seed])[0] for seed in seeds]
    assert len(set(together)) > 15


def test_letters_come_as_often_as_the_network_says(
    graph: ModelProto, network: Network, encoder: Encoder
) -> None:
    with torch.no_grad():
        logits = network.logits(torch.full((1, CONTEXT), BOUNDARY))[0, 0]
    logits[[BOUNDARY, UNKNOWN]] = float("-inf")
    for temperature in (0.5, 1.0, 2.0):
        made = draw(graph, seed=range(2000), temperature=temperature)
        first = pd.Series(made).str[0].value_counts(normalize=True)
        for letter, expected in zip(
            encoder.alphabet, (logits / temperature).softmax(0)[FIRST:].tolist(), strict=True
        ):
            assert first.get(letter, 0.0) == pytest.approx(expected, abs=0.05)


def test_without_warmth_each_letter_is_the_likeliest(
    graph: ModelProto, network: Network, encoder: Encoder
) -> None:
    tokens, name = torch.full((1, CONTEXT), BOUNDARY), ""
    for place in range(CONTEXT - 1):
        with torch.no_grad():
            logits = network.logits(tokens)[0, place]
        logits[[UNKNOWN] if place else [UNKNOWN, BOUNDARY]] = float("-inf")
        if (token := int(logits.argmax())) == BOUNDARY:
            break
        tokens[0, place] = token
        name += encoder.alphabet[token - FIRST]
    assert set(draw(graph, seed=range(20), temperature=0.0)) == {name}


def test_a_name_goes_on_from_its_prefix_as_it_was_written(graph: ModelProto) -> None:
    prefixes = ["Ab", "xy", "B" * 15, "B" * 40, ""]
    names = draw(graph, prefix=prefixes, seed=range(5))
    assert all(map(str.startswith, names, prefixes))
    assert names[2:4] == prefixes[2:4]  # nothing fits behind them
    assert max(map(len, draw(graph, seed=range(500), temperature=9.0))) <= CONTEXT - 1


def test_a_prefix_is_heard(graph: ModelProto, network: Network, encoder: Encoder) -> None:
    tokens = encoder.encode(pd.DataFrame({"name": ["DÖ"]}))["tokens"]
    with torch.no_grad():
        logits = network.logits(tokens)[0, 2]
    logits[UNKNOWN] = float("-inf")
    made = pd.Series(draw(graph, prefix="DÖ", seed=range(2000)))
    shares = made.str[2:3].value_counts(normalize=True)
    likely = logits.softmax(0)
    assert shares.get("", 0.0) == pytest.approx(likely[BOUNDARY].item(), abs=0.05)
    for letter, expected in zip(encoder.alphabet, likely[FIRST:].tolist(), strict=True):
        assert shares.get(letter, 0.0) == pytest.approx(expected, abs=0.05)
