"""What `docker-compose.yml` promises, read from the file: it holds without an engine, too."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
BESIDE: dict[str, dict[str, Any]] = {  # what the other files of compose/ add
    name: service
    for path in sorted((ROOT / "compose").glob("*.yml"))
    for name, service in yaml.safe_load(path.read_text(encoding="utf-8").replace("!reset", ""))[
        "services"
    ].items()
    if "image" in service and name not in SERVICES
}
EVERY = SERVICES | BESIDE
ALWAYS = [name for name, each in SERVICES.items() if each["restart"] == "unless-stopped"]
UNITS = {"m": 2**20, "g": 2**30}


def size(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]]


@pytest.mark.parametrize("name", EVERY)
def test_a_service_can_do_no_more_than_it_must(name: str) -> None:
    service = EVERY[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"]["max-size"]
    assert size(service["mem_limit"]) > 0


@pytest.mark.parametrize("name", EVERY)
def test_an_image_is_named_with_its_version(name: str) -> None:
    image = re.sub(r"\$\{\w+:-(.*)\}", r"\1", EVERY[name]["image"])
    assert re.fullmatch(r"[\w./-]+:v?\d[\w.-]*", image)
    assert "bitnami" not in image
    assert "minio" not in image


@pytest.mark.parametrize("name", EVERY)
def test_ports_are_on_this_machine_alone_and_can_be_moved(name: str) -> None:
    for port in EVERY[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\$\{RELAY_\w+_PORT:-(\d+)\}:\d+", port)


@pytest.mark.parametrize("name", ALWAYS)
def test_what_stays_up_says_whether_it_is_well(name: str) -> None:
    in_its_image = "HEALTHCHECK" in (ROOT / "services/serving/Dockerfile").read_text()
    elsewhere = {"serving": in_its_image, "simulator": True}  # which nobody asks anything
    assert "healthcheck" in SERVICES[name] or elsewhere[name]


@pytest.mark.parametrize("name", SERVICES)
def test_nobody_waits_for_what_only_comes_when_asked(name: str) -> None:
    for needed in SERVICES[name].get("depends_on", {}):
        assert "profiles" not in SERVICES[needed]


def test_all_fit_into_8_gb() -> None:
    assert sum(size(SERVICES[name]["mem_limit"]) for name in ALWAYS) <= 8e9


def test_no_secret_is_in_an_environment() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|KEY|TOKEN", variable):
                assert "/run/secrets/" in value or value.startswith("/tmp/"), (name, variable)  # noqa: S108


def test_a_service_mounts_its_own_secrets_read_only() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            if isinstance(volume, dict):
                assert volume["source"] == "secrets"
                assert volume["read_only"]
                assert volume["volume"]["subpath"], name
            elif volume.startswith("secrets:"):
                assert name in {"secrets", "backup", "restore"}


@pytest.mark.parametrize("job", ["serving", "exporter", "page", "prometheus", "alertmanager"])
def test_prometheus_asks_the_services_for_the_same_as_on_one_machine(job: str) -> None:
    usual = yaml.safe_load((ROOT / f"monitoring/prometheus/targets/{job}.yml").read_text())
    here = yaml.safe_load((ROOT / f"services/prometheus/targets/{job}.yml").read_text())
    assert here[0]["targets"][0].split(":")[1] == usual[0]["targets"][0].split(":")[1]


def test_prometheus_is_told_the_same_where_serving_has_replicas() -> None:
    usual, replicas = (
        yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
        for path in ("monitoring/prometheus/prometheus.yml", "services/prometheus/replicas.yml")
    )
    serving = replicas["scrape_configs"][0]
    assert serving.pop("dns_sd_configs")[0]["names"] == ["serving"]
    assert usual["scrape_configs"][0].pop("file_sd_configs")
    assert replicas == usual


def test_every_target_of_prometheus_is_known_to_the_stack() -> None:
    folders = ("monitoring/prometheus/targets", "services/prometheus/targets")
    one_machine, stack = ({path.name for path in (ROOT / each).iterdir()} for each in folders)
    assert one_machine == stack
