"""Where things are: the environment (prefix ``RELAY_``) in, one frozen ``Settings`` out.

What changes results lives in a model's ``params.yaml``; what to do now is said on the command
line. Settings are read once, at a program's entrance, never at import.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

# behind a page of MLflow's UI: with the registry in sight, which its own choice of mode may hide
MLFLOW_MODE = "?workflowType=machine_learning"
MLFLOW_HOME = f"/#/experiments{MLFLOW_MODE}"
Folder = Annotated[Path, AfterValidator(Path.absolute)]


def _under_home(folder: str, description: str) -> Any:
    return Field(default_factory=lambda given: given["home"] / folder, description=description)


def _at_port_of(service: str) -> Any:
    """On this machine unless an address is given, at the port that was moved or is usual."""
    return Field(default_factory=lambda given: f"http://127.0.0.1:{given[f'{service}_port']}")


def _link_to(service: str) -> Any:
    return Field(
        default_factory=lambda given: given[f"{service}_url"],
        description="where people find it in their browser, if not where programs do",
    )


class Settings(BaseSettings):
    """Addresses and folders of one installation; every field has the variable ``RELAY_<FIELD>``.

    What is not given lies under ``home``.
    """

    model_config = SettingsConfigDict(
        env_prefix="RELAY_", frozen=True, extra="ignore", validate_default=True
    )

    home: Folder = Field(default=Path(".relay"), description="root of all state kept in folders")
    data_registry: str = Field(
        default_factory=lambda given: str(given["home"] / "data-registry.git"),
        description="git URL of the data registry",
    )
    data_remote: str = Field(
        default_factory=lambda given: str(given["home"] / "data-remote"),
        description="DVC remote URL holding the data itself",
    )
    landing: Folder = _under_home("landing", "where new batches arrive")
    quarantine: Folder = _under_home("quarantine", "where refused batches go, with a report")
    prediction_log: Folder = _under_home("prediction-log", "root of the prediction log")
    prediction_log_store: str = Field(
        default="",
        pattern=r"^$|^[a-z0-9]+://.+",
        description="where its sealed files go, as s3://bucket/prefix; none: beside the others",
    )
    prediction_log_days: int = Field(default=90, ge=1, description="answers are kept this long")
    checks: Folder = _under_home("checks", "check results, newest per model")
    evidently_workspace: Folder = _under_home("evidently", "reports for the Evidently UI")
    checkpoints: Folder = _under_home("checkpoints", "from which killed trainings go on")
    tensorboard_logs: Folder = _under_home("tensorboard", "event files, <model>/<run id>/")
    optuna_url: str = Field(
        default_factory=lambda given: f"sqlite:///{given['home'] / 'optuna.db'}",
        description="database of the studies; one of its own, of which Optuna makes the tables",
    )
    optuna_password_file: Path | None = Field(default=None, description="none: the URL has it")
    wandb: Literal["off", "offline", "online"] = Field(
        default="off", description="tell Weights & Biases of trainings, too"
    )
    wandb_url: str = "https://api.wandb.ai"
    wandb_project: str = "relay"
    wandb_entity: str | None = Field(default=None, description="none: the key's own")
    wandb_api_key_file: Path | None = None

    mlflow_port: int = 5000
    mlflow_url: str = _at_port_of("mlflow")
    mlflow_link: str = _link_to("mlflow")
    mlflow_user: str = Field(default="relay", description="who we are, where MLflow asks")
    mlflow_password_file: Path | None = Field(default=None, description="none: it does not ask")
    serving_port: int = 8000
    serving_url: str = _at_port_of("serving")
    serving_link: str = _link_to("serving")
    serving_label_token_file: Path | None = Field(
        default=None, description="the token that labels come with; none: serving wants none"
    )
    airflow_port: int = 8080
    airflow_url: str = _at_port_of("airflow")
    airflow_link: str = _link_to("airflow")
    evidently_port: int = 8001
    evidently_url: str = _at_port_of("evidently")
    evidently_link: str = _link_to("evidently")
    tensorboard_port: int = 6006
    tensorboard_url: str = _at_port_of("tensorboard")
    tensorboard_link: str = _link_to("tensorboard")
    prometheus_port: int = 9090
    prometheus_url: str = _at_port_of("prometheus")
    prometheus_link: str = _link_to("prometheus")

    airflow_run: str = Field(default="", description="Airflow run a step works for: dag_id/run_id")
    code_commit: str = Field(default="", description="commit of the code, where git cannot tell")

    def prediction_log_begin(self) -> datetime:
        """Say from when on answers are kept (UTC)."""
        return datetime.now(UTC) - timedelta(days=self.prediction_log_days)
