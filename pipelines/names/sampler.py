"""The trained network in, an ONNX graph out that makes up names: the served ``names-sampler``.

It is asked with the ``prefix`` that a name begins with (may be left out), a ``temperature`` and a
``seed``, and gives the ``name``. Letters are drawn one after the other, each by what the network
says of those before it. The random numbers are made in the graph from the row's seed: the same
question has the same answer, alone or in a batch, today or in a year.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import onnx
import pandas as pd
import torch
from onnx import GraphProto, ModelProto, TensorProto, helper, parser
from torch import Tensor, nn

from pipelines.features import OPSET
from pipelines.names.letters import BOUNDARY, CONTEXT, FIRST, UNKNOWN, Encoder
from pipelines.onnx_graph import Companion, export
from pipelines.policy import Column

if TYPE_CHECKING:
    from pipelines.names.network import Network

FEATURES = {
    "prefix": Column(type="string", feature=True, max_missing_share=1.0),
    "temperature": Column(type="double", feature=True),
    "seed": Column(type="long", feature=True),
}
EXAMPLE = pd.DataFrame({"prefix": ["", "MC"], "temperature": [1.0, 0.5], "seed": [1, 2]})

# Park and Miller's "minimal standard" generator, x' = A x mod M, with the multiplier of their
# later remark (Communications of the ACM 36:7, 1993): 64 bits hold every product.
M, A = 2**31 - 1, 48_271
AHEAD = pow(A, 1_000_003, M)  # seeds begin far along, as small ones would all begin near zero
COLDEST = 0.001  # below this temperature the likeliest letter is as good as certain

# What is carried from letter to letter, and where it begins, in ONNX's own syntax
# (https://onnx.ai/onnx/repo-docs/Syntax.html). A word grows from its prefix.
BEGIN = f"""
<ir_version: 10, opset_import: ["": {OPSET}]>
begin (int64[batch] seed) => (int64[batch] place, int64[batch] random, bool[batch] ended)
<int64 one = {{1}}, int64 ahead = {{{AHEAD}}}, int64 modulus = {{{M}}}, int64 seeds = {{{M - 1}}},
 int64 turns = {{{CONTEXT - 1}}}>
{{
    seed_below = Mod(seed, seeds)
    seed_positive = Add(seed_below, one)
    seed_ahead = Mul(seed_positive, ahead)
    random = Mod(seed_ahead, modulus)
    place = Sub(seed, seed)
    ended = Less(place, place)
}}
"""
CARRIED = ("tokens", "place", "random", "ended", "word")


class Step(nn.Module):
    """Draw one more letter of each name."""

    def __init__(self, network: "Network") -> None:
        super().__init__()
        self.network = network

    def answer(
        self,
        tokens: Tensor,
        place: Tensor,
        random: Tensor,
        ended: Tensor,
        letters: Tensor,
        temperature: Tensor,
    ) -> dict[str, Tensor]:
        """Give what is carried on, and the ``letter`` (B,): a boundary where none is to be added.

        Args:
            tokens: of the names up to here (B, T).
            place: of the letter, the same of all (B,).
            random: whole numbers below M (B,), which the next ones are made of.
            ended: which names are complete (B,).
            letters: how many the prefix has (B,).
            temperature: what the logits are divided by (B,): 1 as in training, more is bolder.

        """
        random = torch.remainder(random * A, M)
        here = torch.arange(CONTEXT) == place[:, None]  # (B, T)
        logits = (self.network.logits(tokens) * here[:, :, None]).sum(dim=1)  # (B, V)
        token = torch.arange(logits.shape[1])
        nameless = (token == BOUNDARY) & (place == 0)[:, None]  # (B, V)
        logits = logits.masked_fill(nameless | (token == UNKNOWN), float("-inf"))
        likely = (logits / temperature.clamp(COLDEST)[:, None]).softmax(dim=1)  # (B, V)
        below = likely.cumsum(dim=1) <= (random / M)[:, None]  # (B, V)
        drawn = below.sum(dim=1).clamp(max=logits.shape[1] - 1)  # (B,)
        given = place < letters
        ended = ended | ((drawn == BOUNDARY) & ~given)
        letter = drawn.masked_fill(given | ended, BOUNDARY)
        added = torch.where(here & ~given[:, None], letter[:, None], tokens)
        on = {"tokens": added, "place": place + 1, "random": random, "ended": ended}
        return {f"{name}_on": tensor for name, tensor in on.items()} | {"letter": letter}


def build_graph(network: "Network", encoder: Encoder) -> ModelProto:
    """Build the graph: what encodes the prefix, then a loop of one step a letter, and check it."""
    prefix, begin = replace(encoder, feature="prefix"), parser.parse_model(BEGIN)
    inputs = prefix.encode(EXAMPLE)
    zeros = torch.zeros(len(EXAMPLE), dtype=torch.int64)
    carried = {"place": zeros, "random": zeros, "ended": zeros > 0}
    temperature = torch.ones(len(EXAMPLE))
    step = export(Step(network), {**inputs, **carried, "temperature": temperature})
    front = prefix.front(step.ir_version)
    ends = [f"{name}_end" for name in CARRIED[:-1]]
    loop = helper.make_node(
        "Loop",
        ["turns", "", *CARRIED[:-1], "prefix"],
        [*ends, "name"],
        body=_body(step.graph, encoder.alphabet),
    )
    graph = helper.make_graph(
        [*front.graph.node, *begin.graph.node, loop],
        "sampler",
        inputs=[
            _info("prefix", TensorProto.STRING),
            _info("temperature", TensorProto.FLOAT),
            _info("seed", TensorProto.INT64),
        ],
        outputs=[_info("name", TensorProto.STRING)],
        initializer=[*front.graph.initializer, *begin.graph.initializer],
        value_info=list(front.graph.value_info),
    )
    model = helper.make_model(
        graph, opset_imports=list(front.opset_import), ir_version=step.ir_version
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _body(step: GraphProto, alphabet: str) -> GraphProto:
    """Make a loop's body of the exported step: the letter is added to the word."""
    body = GraphProto()
    body.CopyFrom(step)
    spell = helper.make_node(
        "LabelEncoder",
        ["letter"],
        ["spelt"],
        domain="ai.onnx.ml",
        keys_int64s=[FIRST + i for i in range(len(alphabet))],
        values_strings=list(alphabet),
        default_string="",
    )
    append = helper.make_node("StringConcat", ["word", "spelt"], ["word_on"])
    body.node.extend([spell, append, helper.make_node("Identity", ["go"], ["go_on"])])
    given = {each.name: each for each in step.input}
    taken = {each.name: each for each in step.output}
    del body.input[:], body.output[:]  # letters and temperature are taken from around the loop
    scalar = helper.make_tensor_value_info
    body.input.extend([scalar("turn", TensorProto.INT64, []), scalar("go", TensorProto.BOOL, [])])
    body.output.append(scalar("go_on", TensorProto.BOOL, []))
    body.input.extend([*(given[name] for name in CARRIED[:-1]), _info("word", TensorProto.STRING)])
    body.output.extend([taken[f"{name}_on"] for name in CARRIED[:-1]])
    body.output.append(_info("word_on", TensorProto.STRING))
    return body


def _info(name: str, element: int) -> Any:
    return helper.make_tensor_value_info(name, element, ["batch"])


def companions(network: "Network", encoder: Encoder) -> dict[str, Companion]:
    """Give the graphs that are registered beside each version, by name."""
    return {"sampler": Companion(build_graph(network, encoder), FEATURES, EXAMPLE)}
