"""Serving's settings: how the registry is asked."""

from pathlib import Path

import httpx
import pytest

from services.serving.settings import Settings
from services.serving.versions.registry_client import RegistryClient


def test_without_a_password_the_registry_is_asked_as_it_is() -> None:
    settings = Settings(mlflow_url="http://mlflow:5000", mlflow_password_file=None)
    assert settings.registry_address() == "http://mlflow:5000"


def test_the_password_of_a_file_reaches_the_registry_as_it_is_written(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("a@b:c/d%e\n")
    settings = Settings(mlflow_url="http://mlflow:5000", mlflow_password_file=password)
    client = RegistryClient(settings.registry_address())
    asked = client.http.build_request("GET", "/")
    flow = client.http.auth.auth_flow(asked)  # type: ignore[union-attr]
    assert next(flow).headers["authorization"] == _basic("relay", "a@b:c/d%e")
    assert "a@b" not in str(asked.url)


def _basic(user: str, password: str) -> str:
    request = httpx.Request("GET", "http://mlflow")
    return next(httpx.BasicAuth(user, password).auth_flow(request)).headers["authorization"]


def test_a_password_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    settings = Settings(mlflow_password_file=tmp_path / "password")
    with pytest.raises(FileNotFoundError, match="password"):
        settings.registry_address()
