"""The environment (prefix `RELAY_`) in, where to listen, to look and to link to out."""

from pathlib import Path
from typing import Annotated, Any

import httpx
from pydantic import AfterValidator, BeforeValidator, Field, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

ROOT = Path(__file__).resolve().parents[2]


def _address(given: str) -> str:
    """Refuse what is no plain web address: it becomes a link, so no script and no password."""
    url = httpx.URL(given)
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        raise ValueError("want http(s)://host:port, without user and password")
    return given.rstrip("/")


def _names(given: object) -> object:
    if not isinstance(given, str):
        return given
    return [name.strip() for name in given.split(",") if name.strip()]


Address = Annotated[str, AfterValidator(_address)]


def _at_port_of(service: str) -> Any:
    """On this machine unless an address is given, at the port that was moved or is usual."""
    return Field(default_factory=lambda given: f"http://127.0.0.1:{given[f'{service}_port']}")


def _link_to(service: str) -> Any:
    return Field(
        default_factory=lambda given: given[f"{service}_url"],
        description="where people find it in their browser, if not where programs do",
    )


class PageSettings(BaseSettings):
    """Every field has the variable `RELAY_<FIELD>`; `checks` lies under `home` if not given."""

    model_config = SettingsConfigDict(
        env_prefix="RELAY_", frozen=True, extra="ignore", validate_default=True
    )

    home: Path = Path(".relay")
    checks: Path = Field(
        default_factory=lambda given: given["home"] / "checks",
        description="newest monitor run per model",
    )
    dashboards: Path = Field(default=ROOT / "grafana/dashboards", description="Grafana's JSON")
    runbooks: Path = Field(default=ROOT / "docs/runbooks", description="<alert's name>.md")

    page_host: str = "127.0.0.1"
    page_port: int = Field(default=8002, ge=1, le=65535)
    page_allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)] = Field(
        default=("127.0.0.1", "localhost", "page"),
        description="names it is reached by, by comma: another site's name led here is refused",
    )
    page_scrape_seconds: PositiveFloat = Field(
        default=5, description="Prometheus' scrape interval, which $__rate_interval goes by"
    )
    page_query_seconds: PositiveFloat = Field(default=15, description="Prometheus' time to answer")
    page_max_answer_bytes: PositiveInt = Field(
        default=16 * 2**20, description="of one of Prometheus' answers"
    )
    page_max_notification_bytes: PositiveInt = Field(
        default=4 * 2**20, description="of one of Alertmanager's notifications"
    )

    airflow_port: int = 8080
    airflow_url: Address = _at_port_of("airflow")
    airflow_link: Address = _link_to("airflow")
    mlflow_port: int = 5000
    mlflow_url: Address = _at_port_of("mlflow")
    mlflow_link: Address = _link_to("mlflow")
    mlflow_user: str = Field(default="relay", description="who we are, where MLflow asks")
    mlflow_password_file: Path | None = Field(default=None, description="none: it does not ask")
    serving_port: int = 8000
    serving_url: Address = _at_port_of("serving")
    serving_link: Address = _link_to("serving")
    evidently_port: int = 8001
    evidently_url: Address = _at_port_of("evidently")
    evidently_link: Address = _link_to("evidently")
    tensorboard_port: int = 6006
    tensorboard_url: Address = _at_port_of("tensorboard")
    tensorboard_link: Address = _link_to("tensorboard")
    prometheus_port: int = 9090
    prometheus_url: Address = _at_port_of("prometheus")
    prometheus_link: Address = _link_to("prometheus")
    alertmanager_port: int = 9093
    alertmanager_url: Address = _at_port_of("alertmanager")
    alertmanager_link: Address = _link_to("alertmanager")
    grafana_url: Address | None = Field(default=None, description="where there is one")
    grafana_link: Address | None = _link_to("grafana")

    def mlflow_login(self) -> tuple[str, str] | None:
        """Give user and password for MLflow, where it asks; OSError without the file."""
        if self.mlflow_password_file is None:
            return None
        return self.mlflow_user, self.mlflow_password_file.read_text(encoding="utf-8").strip()
