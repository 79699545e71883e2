"""The embedded platform's configuration, read back as supervisord and Prometheus read it."""

import configparser
import json
import shlex
import stat
from pathlib import Path

import pytest
import yaml

from services.embedded import binaries, configuration, credentials
from services.embedded.environment import shared
from services.embedded.programs import Program, programs, simulator
from services.embedded.settings import Embedded
from services.embedded.supervision import render, render_supervisor

BINARIES = {name: f"/usr/bin/{name}" for name in binaries.NAMES}


@pytest.fixture
def settings(tmp_path: Path) -> Embedded:
    return Embedded(home=tmp_path, airflow_port=18080, serving_port=18000)


def read(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read_string(text)
    return parser


def test_a_program_is_kept_running_and_ended_with_all_it_started(tmp_path: Path) -> None:
    part = read(render(Program("web", ("serve", "--port", "1")), tmp_path, tmp_path))["program:web"]
    assert part.getboolean("autorestart")
    assert part.getboolean("stopasgroup")
    assert part.getboolean("killasgroup")
    assert shlex.split(part["command"])[-3:] == ["serve", "--port", "1"]
    assert "--pdeathsig" in shlex.split(part["command"])


def test_a_percent_sign_and_a_blank_survive(tmp_path: Path) -> None:
    command = ("run", "50%", "two words")
    part = read(render(Program("odd", command), tmp_path, tmp_path))["program:odd"]
    assert shlex.split(part["command"])[-3:] == list(command)


def test_what_runs_once_is_not_started_again(tmp_path: Path) -> None:
    part = read(render(simulator(["--rate", "5"], {}), tmp_path, tmp_path))["program:simulator"]
    assert not part.getboolean("autorestart")


def test_supervisord_listens_on_a_socket_for_its_owner_alone(tmp_path: Path) -> None:
    parser = read(render_supervisor(tmp_path / "run", tmp_path / "logs"))
    assert parser["unix_http_server"]["chmod"] == "0700"
    assert not [name for name in parser.sections() if name.startswith("inet")]


def test_every_program_listens_on_the_loopback_address_alone(settings: Embedded) -> None:
    for program in programs(settings, BINARIES):
        assert "0.0.0.0" not in " ".join(program.command)  # noqa: S104
    environment = shared(settings, {})
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert environment["AIRFLOW__API__BASE_URL"] == "http://127.0.0.1:18080"


def test_no_secret_is_in_the_environment_or_in_a_command(settings: Embedded) -> None:
    folder = settings.home / "secrets"
    credentials.keep(folder)
    secrets = [file.read_text() for file in folder.iterdir()]
    secrets.append(credentials.airflow_password(folder))
    said = [json.dumps(shared(settings, {}))]
    said += [" ".join(program.command) for program in programs(settings, BINARIES)]
    assert len(secrets) == 9
    assert not [secret for secret in secrets for text in said if secret in text]


def test_secrets_are_made_once_and_readable_by_their_owner_alone(tmp_path: Path) -> None:
    credentials.keep(tmp_path / "secrets")
    before = {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}
    credentials.keep(tmp_path / "secrets")
    after = {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}
    assert before == after
    modes = {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "secrets").iterdir()}
    assert modes == {0o600}
    assert len(before["airflow-jwt"]) >= 64


def test_another_airflows_settings_are_not_inherited_but_our_folders_are(
    settings: Embedded,
) -> None:
    inherited = {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "MLFLOW_TRACKING_URI": "http://elsewhere",
        "RELAY_LANDING": "/data/landing",
        "RELAY_CHECKS": "/data/checks",
    }
    environment = shared(settings, inherited)
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert "MLFLOW_TRACKING_URI" not in environment
    assert environment["RELAY_LANDING"] == "/data/landing"
    assert environment["RELAY_CHECKS"] == "/data/checks"
    assert environment["RELAY_HOME"] == str(settings.home)


def test_nothing_phones_home(settings: Embedded) -> None:
    environment = shared(settings, {"DO_NOT_TRACK": "0"})
    assert environment["DO_NOT_TRACK"] == "1"
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert environment["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] == "False"


def test_prometheus_asks_at_the_ports_that_were_chosen(settings: Embedded) -> None:
    configuration.lay(settings, {"serving", "exporter"})
    targets = settings.home / "prometheus/config/targets"
    assert yaml.safe_load((targets / "serving.yml").read_text()) == [
        {"targets": ["127.0.0.1:18000"]}
    ]
    assert yaml.safe_load((targets / "exporter.yml").read_text()) == [
        {"targets": ["127.0.0.1:9101"]}
    ]
    assert yaml.safe_load((targets / "alertmanager.yml").read_text()) == []  # is not there


def test_programs_that_trade_ports_are_not_mixed_up() -> None:
    settings = Embedded(serving_port=9090, prometheus_port=8000)
    text = "http://127.0.0.1:8000/a 127.0.0.1:9090 127.0.0.1:1234 10.0.0.1:8000"
    moved = "http://127.0.0.1:9090/a 127.0.0.1:8000 127.0.0.1:1234 10.0.0.1:8000"
    assert configuration.moved(text, settings) == moved
