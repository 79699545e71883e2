"""The small GPT, what turns names into its tokens, and its graphs."""

from itertools import product
from math import log

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from pipelines import onnx_graph
from pipelines.asking import predict
from pipelines.names.letters import BOUNDARY, CONTEXT, FIRST, LONGEST, UNKNOWN, Encoder
from pipelines.names.network import NAMES, Hyperparameters, Network, build, counted
from pipelines.names.sampler import companions
from pipelines.policy import Column

ROWS = pd.DataFrame({"name": ["ANNA", "HANNA", "NAN", 'O"H', "Ö\\"]})
ODD = [
    "Anna",
    "",
    None,
    "ÖÄ",
    "A" * 15,
    "N" * 16,
    "H" * LONGEST,
    "H" * (LONGEST + 1),
    "A\nA",
    "日本",
]
ASKED = pd.DataFrame({"name": [*ROWS["name"], *ODD]})
FEATURES = {"name": Column(type="string", feature=True)}
HYPER = Hyperparameters(channels=8, heads=2, layers=2)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.fit(ROWS, FEATURES)


@pytest.fixture(scope="module")
def network(encoder: Encoder) -> Network:
    """One that has opinions: fresh weights say nearly the same of all letters."""
    torch.manual_seed(0)
    network = build(HYPER, encoder, encoder.encode(ROWS))
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5)
    return network.eval()


def test_letters_are_read_whole_small_or_capital(encoder: Encoder) -> None:
    assert encoder.alphabet == '"AHNO\\Ö'
    tokens, letters = encoder.encode(ASKED).values()
    assert tokens.shape == (len(ASKED), CONTEXT)
    assert torch.equal(tokens[0], tokens[5])
    a = FIRST + encoder.alphabet.index("A")
    assert tokens[0].tolist().count(a) == 2
    assert set(tokens[0, 4:].tolist()) == {BOUNDARY}
    assert tokens[8].tolist()[:2] == [FIRST + 6, UNKNOWN]
    assert letters.tolist() == [4, 5, 3, 3, 2, 4, 0, 0, 2, 15, 16, LONGEST, LONGEST, 3, 2]
    assert set(tokens[12].tolist()) == {UNKNOWN}  # too long to be read


def test_the_graph_reads_raw_strings_as_the_network_does(
    encoder: Encoder, network: Network
) -> None:
    graph = onnx_graph.build_graph(network, encoder, ROWS)
    assert [each.name for each in graph.graph.input] == ["name"]
    asked = ASKED.iloc[:11]
    with torch.no_grad():
        expected = network.answer(**encoder.encode(asked))
    found = predict(graph, asked)
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        np.testing.assert_allclose(found[name], tensor.numpy(), rtol=1e-3, atol=1e-3)
    alone = [predict(graph, asked.iloc[[i]])["log_loss"][0] for i in range(len(asked))]
    np.testing.assert_allclose(found["log_loss"], alone, rtol=1e-5)
    empty = predict(graph, pd.DataFrame({"name": ["", None]}))
    assert empty["length"].tolist() == [0, 0]
    assert predict(graph, pd.DataFrame({"name": ["H" * 10**6]}))["length"].tolist() == [LONGEST]


def test_no_letter_is_told_from_what_comes_after_it(encoder: Encoder, network: Network) -> None:
    tokens = encoder.encode(pd.DataFrame({"name": ["ANNAHANNA", "ANNAOOOOO"]}))["tokens"]
    with torch.no_grad():
        some, others = network.logits(tokens)
    assert torch.allclose(some[:5], others[:5])  # the fifth is told from the four they share
    assert not torch.allclose(some[5], others[5])


def test_the_probabilities_of_all_short_names_add_up(encoder: Encoder, network: Network) -> None:
    """Names of up to two letters, and the chance that a name is longer than these: one in all."""
    letters = [UNKNOWN, *range(FIRST, encoder.size)]
    words = [word for n in range(3) for word in product(letters, repeat=n)]
    tokens = torch.tensor([[*word, *[BOUNDARY] * (CONTEXT - len(word))] for word in words])
    with torch.no_grad():
        known = (-network(tokens, torch.zeros(len(tokens)))).exp().sum()
        likely = network.logits(tokens).log_softmax(dim=2)  # that a word of two goes on
        two = counted(tokens).sum(dim=1) == 3
        begun = likely[two].gather(2, tokens[two][:, :, None]).squeeze(2)[:, :2].sum(dim=1)
        longer = (begun.exp() * (1 - likely[two, 2, BOUNDARY].exp())).sum()
    assert (known + longer).item() == pytest.approx(1, abs=1e-5)


def test_the_outputs_are_what_they_say(encoder: Encoder, network: Network) -> None:
    with torch.no_grad():
        said = {
            name: each.numpy() for name, each in network.answer(**encoder.encode(ASKED)).items()
        }
        losses = network(**encoder.encode(ASKED)).numpy()
    np.testing.assert_allclose(said["log_loss"], losses, rtol=1e-5)
    perplexity = np.exp(said["log_loss"][0] / 5)  # four letters and the end
    assert said["perplexity"][0] == pytest.approx(perplexity, rel=1e-5)
    odds = said["baseline_log_loss"] - said["log_loss"] + log(NAMES / (1 - NAMES))
    np.testing.assert_allclose(said["plausible"], 1 / (1 + np.exp(-odds)), atol=1e-6)
    assert said["unknown_share"].tolist()[:9] == [0, 0, 0, 0, 0, 0, 0, 0, 0.5]
    shares = network.shares
    assert shares.sum().item() == pytest.approx(1)
    assert shares[UNKNOWN].item() == pytest.approx(1 / encoder.size)


def test_the_head_is_the_embedding(network: Network) -> None:
    assert sum(parameter.numel() for parameter in network.parameters()) == (
        network.letters.weight.numel()  # once
        + network.positions.weight.numel()
        + 2 * ((8 + 1) * 24 + (8 + 1) * 8 + (8 + 1) * 32 + (32 + 1) * 8 + 4 * 8)
        + 2 * 8
    )


def test_it_learns_to_spell(encoder: Encoder) -> None:
    torch.manual_seed(0)
    inputs = encoder.encode(ROWS)
    network = build(Hyperparameters(channels=16, heads=2, layers=1), encoder, inputs)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.02)
    for _ in range(80):
        optimizer.zero_grad()
        torch.autograd.backward(network(**inputs).mean())
        optimizer.step()
    with torch.no_grad():
        loss = network.eval()(**inputs)
    assert loss.mean().item() == pytest.approx(log(len(ROWS)), abs=0.3)  # one of five names
    made = predict(
        companions(network, encoder)["sampler"].graph,
        pd.DataFrame({"prefix": "", "temperature": 1.0, "seed": range(200)}),
    )["name"]
    assert set(ROWS["name"]) <= set(made)
    assert pd.Series(made).isin(ROWS["name"]).mean() > 0.8
