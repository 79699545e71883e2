"""Where things are: the environment (prefix ``RELAY_``) in, one frozen ``Settings`` out.

What changes results lives in a model's ``params.yaml``; what to do now is said on the command
line. Settings are read once, at a program's entrance, never at import.
"""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Addresses and folders of one installation; every field has the variable ``RELAY_<FIELD>``."""

    model_config = SettingsConfigDict(env_prefix="RELAY_", frozen=True, extra="ignore")

    home: Path = Field(default=Path(".relay"), description="root of all state kept in folders")
    data_registry: str = Field(default="", description="git URL of the data registry")
    data_remote: str = Field(default="", description="DVC remote URL holding the data itself")
    landing: Path = Field(default=Path(), description="where new batches arrive")
    quarantine: Path = Field(default=Path(), description="where refused batches go, with a report")
    prediction_log: Path = Field(default=Path(), description="root of the prediction log")
    checks: Path = Field(default=Path(), description="check results, newest per model")
    evidently_workspace: Path = Field(default=Path(), description="reports for the Evidently UI")

    mlflow_url: str = "http://127.0.0.1:5000"
    serving_url: str = "http://127.0.0.1:8000"
    airflow_url: str = "http://127.0.0.1:8080"
    evidently_url: str = "http://127.0.0.1:8001"
    prometheus_url: str = "http://127.0.0.1:9090"

    airflow_run: str = Field(default="", description="Airflow run a step works for: dag_id/run_id")
    code_commit: str = Field(default="", description="commit of the code, where git cannot tell")

    @model_validator(mode="after")
    def _derive_from_home(self) -> Self:
        home = self.home.absolute()
        derived: dict[str, str | Path] = {
            "home": home,
            "data_registry": self.data_registry or str(home / "data-registry.git"),
            "data_remote": self.data_remote or str(home / "data-remote"),
        }
        for name, folder in {
            "landing": "landing",
            "quarantine": "quarantine",
            "prediction_log": "prediction-log",
            "checks": "checks",
            "evidently_workspace": "evidently",
        }.items():
            given: Path = getattr(self, name)
            derived[name] = home / folder if given == Path() else given.absolute()
        for name, value in derived.items():
            object.__setattr__(self, name, value)  # frozen for everybody else
        return self
