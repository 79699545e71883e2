"""What the server says of itself, held against what it does: requests made of its own description.

Schemathesis (https://schemathesis.readthedocs.io) makes them: every status, content type and body
that comes back has to be a described one, and nothing that is sent may bring an error of ours.
"""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests import programs
from tests.programs import Program
from tests.serving_client import serves

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]
FEW = settings(
    max_examples=50, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)


SERVED = {"model": "flights", "version": "1"}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5
)


def places(whole: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a JSON value: what it is in, and the key or number it has there."""
    if isinstance(whole, dict | list):
        for key in whole if isinstance(whole, dict) else range(len(whole)):
            yield whole, key
            yield from places(whole[key])


@st.composite
def nearly(draw: st.DrawFn, examples: list[Any]) -> Any:
    """An example, or one that is wrong in one place."""
    whole = copy.deepcopy(draw(st.sampled_from(examples)))
    if draw(st.booleans()):
        within, key = draw(st.sampled_from(list(places(whole))))
        within[key] = draw(VALUES)
    return whole


def described_examples(operation: Any) -> list[Any]:
    body = operation.definition.raw.get("requestBody", {"content": {}})
    examples = body["content"].get("application/json", {}).get("examples", {})
    return [example["value"] for example in examples.values()]


def asked(url: str, operation: Any, mode: GenerationMode) -> set[int]:
    """Send requests of one kind, most to the served model, half of them nearly its examples.

    Gives the statuses that came back.
    """
    statuses = set()
    examples = described_examples(operation)

    @FEW
    @given(case=operation.as_strategy(generation_mode=mode), data=st.data())
    def ask(case: Any, data: st.DataObject) -> None:
        if data.draw(st.integers(0, 9)):
            case.path_parameters = {n: SERVED[n] for n in case.path_parameters or ()}
        if data.draw(st.booleans()) and examples:
            case.body, case.media_type = data.draw(nearly(examples)), "application/json"
        response = case.call(base_url=url)
        statuses.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    ask()
    return statuses


@pytest.mark.timeout(300)
def test_every_answer_is_one_that_is_described(registry: str, serving: Program) -> None:
    serves(serving, "1")
    description = serving.get("/openapi.json").json()
    schema = schemathesis.openapi.from_dict(description)
    statuses = {}
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        statuses[operation.label] = asked(serving.url, operation, GenerationMode.POSITIVE)
        if operation.method == "post":
            statuses[operation.label] |= asked(serving.url, operation, GenerationMode.NEGATIVE)
    for label, seen in statuses.items():
        if label.endswith(("/infer", "/invocations", "/labels")):
            assert {status // 100 for status in seen} == {2, 4}, (label, seen)
    paths = description["paths"]
    every = {f"{method.upper()} {path}" for path in paths for method in paths[path]}
    assert statuses.keys() == every
    assert serving.answers("/ready")


def test_the_examples_are_answered(registry: str, serving: Program) -> None:
    serves(serving, "1")
    described = serving.get("/openapi.json").json()
    answered = []
    for path, methods in described["paths"].items():
        content = methods.get("post", {}).get("requestBody", {}).get("content", {})
        examples = content.get("application/json", {}).get("examples", {})
        for name, example in examples.items():
            url = serving.url + path.format(model=name, version="1")
            answer = httpx.post(url, json=example["value"])
            assert answer.status_code == 200, answer.text
            answered.append(path)
        for parameter in methods.get("get", {}).get("parameters", ()):
            assert SERVED[parameter["name"]] in parameter["examples"]
    assert len(answered) == 4


@pytest.mark.timeout(120)
def test_the_webhook_is_described_where_it_is_taken(mlflow_server: Program, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    file = str(tmp_path / "secret")
    with programs.serving(tmp_path, mlflow_server.url, serving_webhook_secret_file=file) as program:
        schema = schemathesis.openapi.from_dict(program.get("/openapi.json").json())
        operation = schema["/v1/registry-events"]["POST"]
        assert operation.definition.raw["parameters"]
        assert asked(program.url, operation, GenerationMode.POSITIVE) == {401}
