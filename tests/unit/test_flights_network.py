from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor

from pipelines.flights import network
from pipelines.flights.network import Hyperparameters, Network

NAN = float("nan")
TRAINING = torch.tensor([[0.0, 5.0, NAN], [10.0, 5.0, NAN], [20.0, NAN, NAN]])
CATEGORIES = torch.tensor([[1, 2], [2, 1]])


def build() -> Network:
    torch.manual_seed(0)
    return Network(Hyperparameters(), [3, 4], TRAINING).eval()


def ask(net: Network, *rows: list[float]) -> Tensor:
    numbers = torch.tensor(rows)
    with torch.no_grad():
        logits: Tensor = net(CATEGORIES[:1].expand(len(rows), 2), numbers)
    return logits


def test_one_logit_a_row_even_for_one_row_and_for_none() -> None:
    net = build()
    for rows in (0, 1, 2):
        logits = net(CATEGORIES[:rows], torch.zeros(rows, 3))
        assert logits.shape == (rows,)


def test_scaling_is_fit_from_training_rows_without_their_gaps() -> None:
    net = build()
    assert net.mean.tolist() == [10.0, 5.0, 0.0]
    assert net.deviation[0].item() == pytest.approx((200 / 3) ** 0.5)
    assert net.deviation[1:].tolist() == [1.0, 1.0]  # constant, missing everywhere


def test_a_missing_number_is_told_from_the_mean() -> None:
    mean, missing = ask(build(), [10.0, 5.0, 0.0], [NAN, 5.0, 0.0])
    assert torch.isfinite(missing)
    assert not torch.allclose(mean, missing)


def test_an_absurd_number_counts_as_a_far_one() -> None:
    far, absurd, infinite = ask(build(), [1e3, 5.0, 0.0], [1e9, 5.0, 0.0], [float("inf"), 5.0, 0.0])
    assert torch.allclose(far, absurd)
    assert torch.allclose(far, infinite)


def test_the_unknown_category_is_zero_and_is_not_trained() -> None:
    net = build()
    net(torch.zeros((2, 2), dtype=torch.int64), torch.zeros(2, 3)).sum().backward()
    for embedding in net.embeddings:
        assert isinstance(embedding, torch.nn.Embedding)
        assert embedding.weight[0].abs().sum() == 0
        assert embedding.weight.grad is not None
        assert embedding.weight.grad[0].abs().sum() == 0


def test_the_scaling_travels_with_the_weights() -> None:
    assert {"mean", "deviation"} <= set(build().state_dict())


def test_the_policys_network_section_is_one_the_network_takes() -> None:
    policy = yaml.safe_load((Path(network.__file__).parent / "params.yaml").read_text())
    Hyperparameters(**policy["train"]["network"])
