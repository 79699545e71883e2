from itertools import product
from math import exp, log

import pandas as pd
import pytest

from pipelines.baselines import Task
from pipelines.names.baselines import BASELINES, DISCOUNT, Ngram
from pipelines.policy import Column

A, B, END = 2, 3, 0


def test_the_probabilities_behind_any_context_add_up_to_one() -> None:
    model = Ngram([(A, B, END), (A, A, END), (A, B, END)], order=3, size=4)
    for context in product([-1, END, A, B], repeat=2):
        total = sum(exp(-model_loss(model, context, token)) for token in range(4))
        assert total == pytest.approx(1)


def test_a_bigram_is_discounted_as_kneser_and_ney_say() -> None:
    model = Ngram([(A, A, END), (A, B, END)], order=2, size=4)
    # the start is followed by A twice, A by A, B and the end once each, B by the end
    uniform = 1 / 4
    places = {END: 2, A: 2, B: 1}  # contexts in which each is found, of 5 pairs
    one_gram = (places[B] - DISCOUNT + 3 * DISCOUNT * uniform) / 5
    expected = (1 - DISCOUNT + 3 * DISCOUNT * one_gram) / 3
    assert model_loss(model, (A,), B) == pytest.approx(-log(expected))
    assert model_loss(model, (9,), B) == pytest.approx(-log(one_gram))  # never seen: the shorter


def test_what_is_there_again_and_again_is_likelier_than_a_bag_of_letters() -> None:
    train = pd.DataFrame({"name": ["ANNA", "HANNA", "JOHANNA", "ANN"] * 5})
    asked = pd.DataFrame({"name": ["HANNA", "NHAAN"]})
    task = Task(
        train,
        pd.Series(0.0, train.index),
        asked,
        {"name": Column(type="string", feature=True)},
        classes=2,
        seed=0,
    )
    base, four = BASELINES["base_rate"](task), BASELINES["4_gram"](task)
    assert base.shape == four.shape == (2, 2)
    assert base[0] == pytest.approx(base[1])  # the same letters
    assert (four[:, 1] == base[:, 1]).all()
    assert four[0, 0] < base[0, 0] < four[1, 0]


def model_loss(model: Ngram, context: tuple[int, ...], token: int) -> float:
    return -log(model.probability(context, token))
