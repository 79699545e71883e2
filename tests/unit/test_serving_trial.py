"""The comparison of canary and champion: who is worse, and how often chance alone would say so."""

import math

import numpy as np
import pytest

from services.serving.challenger.trial import (
    Finding,
    Limits,
    Outcomes,
    Trial,
    least_increase,
    quantile_bounds,
)

LIMITS = Limits(min_requests=500, max_error_increase=0.01, max_latency_ratio=2.0)
TRIALS = 300


def run(
    canary: tuple[float, float],
    champion: tuple[float, float],
    rounds: int = 1,
    share: float = 0.1,
    limits: Limits = LIMITS,
    seed: int = 0,
) -> tuple[Finding | None, Trial]:
    """Draw requests: (error share, median seconds) a side, log-normal; up to the first finding."""
    trial, random = Trial(limits), np.random.default_rng(seed)
    for _ in range(math.ceil(rounds * limits.min_requests / share)):
        ours = random.random() < share
        errors, median = canary if ours else champion
        failed = random.random() < errors
        seconds = None if failed else median * math.exp(random.normal(0, 0.5))
        if found := trial.count("canary" if ours else "champion", seconds):
            return found, trial
    return None, trial


def outcomes(failed: int, answered: list[float]) -> Outcomes:
    trial = Trial(Limits(10**9, 0, 1))
    for seconds in [None] * failed + answered:
        trial.count("champion", seconds)
    return trial._rounds[0]["champion"]


@pytest.mark.parametrize(
    ("ours", "theirs", "lower"), [((56, 70), (48, 80), 0.0524), ((9, 10), (3, 10), 0.1705)]
)
def test_the_interval_is_newcombes(
    ours: tuple[int, int], theirs: tuple[int, int], lower: float
) -> None:
    """His worked examples (a) and (c), two-sided 95 %."""
    one, other = (outcomes(failed, [1.0] * (count - failed)) for failed, count in (ours, theirs))
    assert least_increase(one, other, z=1.959964) == pytest.approx(lower, abs=5e-5)
    assert least_increase(one, other) < lower


def test_a_quantile_lies_between_its_bounds_and_few_answers_bound_nothing() -> None:
    seconds = np.random.default_rng(0).exponential(0.01, 2000)
    for share in (0.5, 0.95):
        low, high = quantile_bounds(outcomes(0, list(seconds)), share)
        assert low < np.quantile(seconds, share) * 1.05
        assert low > np.quantile(seconds, share) * 0.7
        assert np.quantile(seconds, share) < high < np.quantile(seconds, share) * 1.4
    assert quantile_bounds(outcomes(0, [0.01] * 5), 0.95)[1] == math.inf
    assert quantile_bounds(outcomes(3, []), 0.5) == (0.0, math.inf)


@pytest.mark.parametrize(
    ("canary", "reason"),
    [((0.08, 0.001), "errors"), ((1.0, 0.001), "errors"), ((0.0, 0.004), "latency")],
)
def test_what_is_clearly_worse_is_found_at_the_first_look(
    canary: tuple[float, float], reason: str
) -> None:
    for seed in range(20):
        found, trial = run(canary, (0.0, 0.001), rounds=2, seed=seed)
        assert found is not None
        assert found.reason == reason
        assert trial.passed == 0


def test_a_small_difference_is_found_in_time() -> None:
    found, _ = run((0.04, 0.001), (0.01, 0.001), rounds=20)
    assert found is not None
    assert found.reason == "errors"


def test_a_slow_tail_is_found_though_the_median_is_fast() -> None:
    trial = Trial(LIMITS)
    found = None
    for number in range(20_000):
        trial.count("champion", 0.001)
        if number % 10 == 0:
            found = found or trial.count("canary", 0.05 if number % 100 == 0 else 0.001)
    assert found is not None
    assert "the 95% quantile" in found.text


def test_chance_alone_withdraws_nobody() -> None:
    """Ten looks each: equal sides within the limits, bad days of both included."""
    fine = [run((e, 0.001), (e, 0.001), 10, 0.5, seed=s)[0] for s in range(25) for e in (0, 0.05)]
    assert not any(fine)
    at_the_limit = [
        run((0.06, 0.001), (0.05, 0.001), 1, 0.5, seed=seed)[0] for seed in range(TRIALS)
    ]
    assert sum(found is not None for found in at_the_limit) <= 3


def test_a_canary_that_turns_bad_is_found_though_it_was_good_for_long() -> None:
    trial = Trial(LIMITS)
    for number in range(100 * LIMITS.min_requests):
        trial.count("champion", 0.001)
        assert trial.count("canary", 0.001) is None, number
    assert trial.passed == 100 * LIMITS.min_requests
    bad = 0
    while trial.count("canary", 0.001 if bad % 5 else None) is None:
        trial.count("champion", 0.001)
        bad += 1
        assert bad < 3 * LIMITS.min_requests


def test_without_a_champion_to_compare_with_nothing_passes() -> None:
    trial = Trial(LIMITS)
    for _ in range(5 * LIMITS.min_requests):
        assert trial.count("canary", 0.001) is None
    assert trial.passed == 0
