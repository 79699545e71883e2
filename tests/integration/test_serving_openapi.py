"""What the server says of itself, held against what it does: requests made of its own description.

Schemathesis (https://schemathesis.readthedocs.io) makes them: every status, content type and body
that comes back has to be a described one, and nothing that is sent may bring an error of ours.
"""

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

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


def asked(url: str, operation: Any, mode: GenerationMode) -> set[int]:
    """Send requests of one kind; give the statuses that came back."""
    statuses = set()

    @FEW
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
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
    paths = description["paths"]
    every = {f"{method.upper()} {path}" for path in paths for method in paths[path]}
    assert statuses.keys() == every
    assert serving.answers("/ready")


def test_the_examples_are_answered(registry: str, serving: Program) -> None:
    serves(serving, "1")
    described = serving.get("/openapi.json").json()
    body = described["paths"]["/v2/models/{model}/infer"]["post"]["requestBody"]
    (name, example), *_ = body["content"]["application/json"]["examples"].items()
    answer = httpx.post(f"{serving.url}/v2/models/{name}/infer", json=example["value"])
    assert answer.status_code == 200, answer.text
