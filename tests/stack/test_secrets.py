"""Who may see the stack's secrets, and what one gets without them."""

import httpx
import pytest

from tests.stack.stack import IMAGE, Stack, docker

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]


def test_none_shows_where_others_can_look(stack: Stack) -> None:
    ids = stack.compose("ps", "--all", "--quiet").split()
    running = stack.compose("ps", "--quiet").split()
    places = {
        "inspect": docker("inspect", *ids),
        "logs": stack.compose("logs", "--no-color"),
        "ps": "".join(docker("top", each, "-ef") for each in running),
        "images": docker("history", "--no-trunc", IMAGE) + docker("inspect", IMAGE),
    }
    for name, secret in stack.secrets().items():
        assert len(secret) >= 32, name
        for place, text in places.items():
            assert secret not in text, f"{name} shows in {place}"


def test_none_is_the_same_as_another(stack: Stack) -> None:
    secrets = stack.secrets()
    assert len(set(secrets.values())) == len(secrets)


def test_a_service_sees_its_own_folder_and_cannot_write_to_it(stack: Stack) -> None:
    seen = stack.compose("exec", "-T", "serving", "ls", "/run/secrets").split()
    assert seen == ["label", "mlflow", "registry-events"]
    refused = "touch /run/secrets/mine 2>/dev/null || echo refused"
    assert stack.compose("exec", "-T", "serving", "sh", "-c", refused).strip() == "refused"


@pytest.mark.parametrize(
    ("service", "path"),
    [
        ("airflow", "/api/v2/dags"),
        ("airflow", "/api/v2/connections"),
        ("airflow", "/api/v2/variables"),
        ("mlflow", "/api/2.0/mlflow/registered-models/search"),
        ("mlflow", "/api/2.0/mlflow/experiments/search?max_results=1"),
        ("mlflow", "/api/2.0/mlflow-artifacts/artifacts"),
        ("mlflow", "/api/2.0/mlflow/webhooks"),
        ("mlflow", "/"),
    ],
)
@pytest.mark.parametrize("login", [None, ("admin", "admin"), ("admin", "password")])
def test_who_is_nobody_gets_nothing(
    stack: Stack, service: str, path: str, login: tuple[str, str] | None
) -> None:
    answer = httpx.get(stack.url(service) + path, auth=login, trust_env=False)
    assert answer.status_code == 401, answer.text[:300]


@pytest.mark.parametrize(
    "bearer", [{}, {"Authorization": "Bearer guessed-by-somebody-outside-of-here"}]
)
def test_who_is_nobody_says_nothing_of_what_came_true(stack: Stack, bearer: dict[str, str]) -> None:
    url = stack.url("serving") + "/v1/models/flights/labels"
    body = {"labels": [{"id": "any", "label": 1}]}
    assert httpx.post(url, json=body, headers=bearer, trust_env=False).status_code == 401


def test_airflow_gives_no_token_for_a_guess(stack: Stack) -> None:
    for guess in ("admin", "", "airflow"):
        login = {"username": "admin", "password": guess}
        answer = httpx.post(f"{stack.url('airflow')}/auth/token", json=login, trust_env=False)
        assert answer.status_code in {400, 401, 422}
        assert "access_token" not in answer.text


def test_what_serving_is_told_of_the_registry_must_be_signed(stack: Stack) -> None:
    answer = httpx.post(f"{stack.url('serving')}/v1/registry-events", json={}, trust_env=False)
    assert answer.status_code in {400, 401, 403}
