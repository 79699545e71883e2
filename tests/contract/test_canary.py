"""Pipelines order a canary, serving follows: both must mean the same by a tag and its content."""

import json
from dataclasses import asdict
from typing import Any

import msgspec
import pytest
from pydantic import ValidationError

from pipelines import canary as ordered
from pipelines import models
from pipelines.exits import Refused
from pipelines.policy import Canary
from pipelines.status import describe_version, render
from pipelines.tracking import ModelVersion
from services.serving.challenger import canary as followed

LIMITS = Canary(share=0.5, min_requests=100, max_error_increase=0.0, max_latency_ratio=1.0)


def test_both_name_the_tags_alike() -> None:
    tags = ("ORDER", "PASSED", "WITHDRAWN")
    assert [getattr(ordered, tag) for tag in tags] == [getattr(followed, tag) for tag in tags]


def test_serving_reads_what_pipelines_write_to_the_limits_of_the_policy() -> None:
    order = ordered.Order("now", **LIMITS.model_dump())
    read = followed.read_order({followed.ORDER: json.dumps(asdict(order))})
    assert msgspec.structs.asdict(read) == asdict(order)  # type: ignore[arg-type]


@pytest.mark.parametrize("share", [0.51, -0.1])
def test_both_refuse_a_share_that_is_none(share: float) -> None:
    with pytest.raises(ValidationError, match="share"):
        Canary.model_validate(LIMITS.model_dump() | {"share": share})
    order = json.dumps({"started": "now"} | LIMITS.model_dump() | {"share": share})
    with pytest.raises(ValueError, match="share"):
        followed.read_order({followed.ORDER: order})


@pytest.mark.parametrize("share", [0, 0.51, -0.1, float("nan")])
def test_a_share_that_is_none_is_refused_before_anybody_is_asked(share: float) -> None:
    with pytest.raises(Refused, match=r"above 0 .* and at most 0\.5"):
        ordered.canary(models.load("flights"), None, share, False, True)  # type: ignore[arg-type]


def test_pipelines_read_the_verdict_that_serving_writes() -> None:
    order = ordered.Order("now", **LIMITS.model_dump())
    tags = {ordered.ORDER: json.dumps(asdict(order))}
    for tag, state in [(followed.PASSED, "passed"), (followed.WITHDRAWN, "withdrawn")]:
        tags[tag] = msgspec.json.encode(followed.Verdict("now", "because")).decode()
        trial = ordered.read(ModelVersion("flights", 2, "a run", tags))
        assert trial == ordered.Trial(order, state, "because")  # type: ignore[arg-type]
    tags[ordered.ORDER] = json.dumps(asdict(ordered.Order("later", **LIMITS.model_dump())))
    trial = ordered.read(ModelVersion("flights", 2, "a run", tags))
    assert trial is not None
    assert trial.state == "running"


@pytest.mark.parametrize(
    ("tags", "line"),
    [
        ({}, "canary of 10% of the keys: running, not yet 100 requests answered and compared"),
        (
            {ordered.WITHDRAWN: '{"started": "now", "reason": "slow"}'},
            "canary of 10% of the keys: withdrawn, slow",
        ),
        ({ordered.ORDER: "{"}, "canary: unknown, the canary tags of flights@2 cannot be read"),
    ],
)
def test_the_status_tells_of_a_trial(tags: dict[str, str], line: str) -> None:
    order = ordered.Order("now", **LIMITS.model_dump() | {"share": 0.1})
    version = ModelVersion("flights", 2, "a run", {ordered.ORDER: json.dumps(asdict(order))} | tags)
    model: dict[str, Any] = {"dataset": None, "checks": None, "champion": None, "versions": []}
    told = {
        "services": {},
        "models": {"flights": model | {"challenger": describe_version(version)}},
    }
    assert line in render(told)
