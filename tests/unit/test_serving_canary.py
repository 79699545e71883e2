"""Whose requests a canary answers, and what its tags must say."""

import json

import pytest

from services.serving.challenger.canary import Canary, Order, read_order, read_verdict
from services.serving.metrics import Metrics
from services.serving.predictor import VersionRef

KEYS = [f"user-{number}" for number in range(20_000)]
WELL = {
    "started": "now",
    "share": 0.1,
    "min_requests": 100,
    "max_error_increase": 0.01,
    "max_latency_ratio": 2.0,
}
FIRST = ["user-0", "user-11", "user-16", "user-26", "user-38"]


SPOILT = [
    "not JSON",
    "[]",
    '{"started": "now", "share": 0.1}',
    *(json.dumps(WELL | wrong) for wrong in ({"share": 0.7}, {"share": -0.1}, {"share": "all"})),
    json.dumps(WELL | {"min_requests": 0}),
    json.dumps(WELL | {"max_latency_ratio": None}),
]


def canary(share: float, version: str = "2") -> Canary:
    order = Order("2026-01-01", share, 100, 0.01, 2.0)
    return Canary(VersionRef("flights", version, 0), order, Metrics(), lambda: None)


def drawn(share: float, version: str = "2") -> set[str]:
    chosen = canary(share, version)
    return {key for key in KEYS if chosen.takes(key)}


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5])
def test_the_share_is_drawn(share: float) -> None:
    spread = 4 * (share * (1 - share) / len(KEYS)) ** 0.5
    assert len(drawn(share)) / len(KEYS) == pytest.approx(share, abs=spread)


def test_a_larger_share_only_adds_and_another_version_draws_others() -> None:
    assert drawn(0.01) < drawn(0.1) < drawn(0.5)
    both = drawn(0.1, "2") & drawn(0.1, "3")
    assert len(both) / len(KEYS) == pytest.approx(0.01, abs=0.003)


def test_the_draw_is_the_same_on_every_machine() -> None:
    assert [key for key in KEYS[:60] if canary(0.1).takes(key)] == FIRST


@pytest.mark.parametrize("text", SPOILT)
def test_an_order_that_cannot_be_read_is_refused(text: str) -> None:
    assert read_order({"relay.canary": json.dumps(WELL)}) is not None
    with pytest.raises(ValueError, match=r"JSON|Expected|missing"):
        read_order({"relay.canary": text})


def test_a_verdict_holds_for_its_own_trial() -> None:
    tags = {"relay.canary_withdrawn": '{"started": "then", "reason": "errors"}'}
    verdict = read_verdict(tags, "relay.canary_withdrawn", "then")
    assert verdict is not None
    assert verdict.reason == "errors"
    assert read_verdict(tags, "relay.canary_withdrawn", "later") is None
    assert read_order({"relay.canary": ""}) is None


def test_a_withdrawn_canary_takes_nothing_more() -> None:
    chosen = canary(0.5)
    for _ in range(100):
        chosen.count("champion", 0.001)
        chosen.count("canary", None)
    assert "100 of 100 requests failed" in chosen.withdrawn
    assert not any(chosen.takes(key) for key in KEYS[:100])
    chosen.follow(Order("2026-01-01", 0.4, 100, 0.01, 2.0))
    assert chosen.share == 0
