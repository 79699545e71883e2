"""Where things are: the environment (prefix ``RELAY_``) in, one frozen ``Settings`` out.

What changes results lives in a model's ``params.yaml``; what to do now is said on the command
line. Settings are read once, at a program's entrance, never at import.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

Folder = Annotated[Path, AfterValidator(Path.absolute)]


def _under_home(folder: str, description: str) -> Any:
    return Field(default_factory=lambda given: given["home"] / folder, description=description)


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
    checks: Folder = _under_home("checks", "check results, newest per model")
    evidently_workspace: Folder = _under_home("evidently", "reports for the Evidently UI")

    mlflow_url: str = "http://127.0.0.1:5000"
    serving_url: str = "http://127.0.0.1:8000"
    airflow_url: str = "http://127.0.0.1:8080"
    evidently_url: str = "http://127.0.0.1:8001"
    prometheus_url: str = "http://127.0.0.1:9090"

    airflow_run: str = Field(default="", description="Airflow run a step works for: dag_id/run_id")
    code_commit: str = Field(default="", description="commit of the code, where git cannot tell")
