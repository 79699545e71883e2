"""What stands in the way of a start is named, all of it, with the way out."""

import os
import socket
from pathlib import Path

import pytest

from services.embedded import preflight
from services.embedded.holding import held, holder
from services.embedded.preflight import PlatformError
from services.embedded.programs import Program
from services.embedded.settings import Embedded


def test_a_taken_port_is_named_with_program_holder_and_variable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        settings = Embedded(home=tmp_path, mlflow_port=port)
        said = preflight.taken_port(settings, Program("mlflow", (), listens_as="mlflow"))
    assert f"port {port}" in said
    assert "mlflow" in said
    assert f"process {os.getpid()}" in said
    assert "RELAY_MLFLOW_PORT" in said


def test_a_free_port_is_no_reason(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    settings = Embedded(home=tmp_path, mlflow_port=port)
    assert preflight.taken_port(settings, Program("mlflow", (), listens_as="mlflow")) == ""


def test_a_full_disk_is_refused_with_the_figures(tmp_path: Path) -> None:
    said = preflight.short_of_disk(Embedded(home=tmp_path, min_free_gb=1e9))
    assert "GB of free space" in said
    assert "RELAY_HOME" in said
    assert preflight.short_of_disk(Embedded(home=tmp_path, min_free_gb=0)) == ""


def test_all_reasons_are_said_at_once(tmp_path: Path) -> None:
    settings = Embedded(home=tmp_path / ("x" * 80), min_free_gb=1e9, airflow_environment=tmp_path)
    settings.home.mkdir()
    with pytest.raises(PlatformError) as refused:
        preflight.check(settings, [])
    text = str(refused.value)
    assert "free space" in text
    assert "80" in text or "bytes" in text
    assert "make install" in text


def test_one_home_is_held_by_one_platform(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert holder(tmp_path) is None
    with held(tmp_path):
        assert holder(tmp_path) == os.getpid()
        with pytest.raises(PlatformError, match=f"process {os.getpid()}"), held(tmp_path):
            pass
    assert holder(tmp_path) is None
