"""The environment (prefix `RELAY_`) in, whom to ask and where to listen out."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PositiveFloat
from pydantic_settings import BaseSettings, SettingsConfigDict

Folder = Annotated[Path, AfterValidator(Path.absolute)]
UIS = ("airflow", "mlflow", "serving", "evidently", "page", "prometheus", "alertmanager", "grafana")


def _under_home(folder: str, description: str) -> Any:
    return Field(default_factory=lambda given: given["home"] / folder, description=description)


def _link_to(service: str) -> Any:
    return Field(
        default_factory=lambda given: given[f"{service}_url"],
        description="where people find it in their browser, if not where programs do",
    )


class ExporterSettings(BaseSettings):
    """Every field has the variable `RELAY_<FIELD>`; folders not given lie under `RELAY_HOME`."""

    model_config = SettingsConfigDict(env_prefix="RELAY_", extra="ignore", validate_default=True)

    home: Folder = Path(".relay")
    checks: Folder = _under_home("checks", "newest monitor run of each model")
    quarantine: Folder = _under_home("quarantine", "batches that were refused")
    prediction_log: Folder = _under_home("prediction-log", "looked at for its disk")
    data_registry: str = Field(
        default_factory=lambda given: str(given["home"] / "data-registry.git"),
        description="git URL or folder",
    )

    airflow_url: str = Field(default="http://127.0.0.1:8080", description="empty: there is none")
    airflow_user: str = "admin"
    airflow_password_file: Path | None = None
    mlflow_url: str = Field(default="http://127.0.0.1:5000", description="empty: there is none")
    mlflow_user: str = Field(default="relay", description="who we are, where MLflow asks")
    mlflow_password_file: Path | None = Field(default=None, description="none: it does not ask")
    serving_url: str = ""
    evidently_url: str = ""
    page_url: str = ""
    prometheus_url: str = ""
    alertmanager_url: str = ""
    grafana_url: str = ""

    airflow_link: str = _link_to("airflow")
    mlflow_link: str = _link_to("mlflow")
    serving_link: str = _link_to("serving")
    evidently_link: str = _link_to("evidently")
    page_link: str = _link_to("page")
    prometheus_link: str = _link_to("prometheus")
    alertmanager_link: str = _link_to("alertmanager")
    grafana_link: str = _link_to("grafana")

    exporter_host: str = "127.0.0.1"
    exporter_port: int = Field(default=9101, ge=0, le=65535)
    exporter_fresh_seconds: PositiveFloat = Field(
        default=10.0, description="Airflow, MLflow and the data registry are asked this seldom"
    )
    exporter_deadline_seconds: PositiveFloat = Field(
        default=4.0, description="who has not answered a scrape by then is away"
    )

    def mlflow_login(self) -> tuple[str, str] | None:
        """Give user and password for MLflow, where it asks; OSError without the file."""
        if self.mlflow_password_file is None:
            return None
        return self.mlflow_user, self.mlflow_password_file.read_text(encoding="utf-8").strip()

    def links(self) -> dict[str, str]:
        """Give the address of each part that people look at; empty where nobody said it."""
        return {name: getattr(self, f"{name}_link") for name in UIS}
