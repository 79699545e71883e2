"""The environment (prefix ``RELAY_``) in; where the embedded platform lives and listens out.

Everything listens on the loopback address alone. Read once, at the entrance.
"""

from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
SERVED = (  # what has an address, in the order in which people are told
    "page",
    "airflow",
    "mlflow",
    "serving",
    "evidently",
    "tensorboard",
    "grafana",
    "prometheus",
    "alertmanager",
    "exporter",
)


class Embedded(BaseSettings):
    """One embedded platform; every field has the variable ``RELAY_<FIELD>``."""

    model_config = SettingsConfigDict(env_prefix="RELAY_", frozen=True, extra="ignore")

    home: Path = Field(default=Path(".relay"), description="root of all state")
    airflow_port: int = 8080
    mlflow_port: int = 5000
    serving_port: int = 8000
    serving_grpc_port: int = 8081
    evidently_port: int = 8001
    tensorboard_port: int = 6006
    page_port: int = 8002
    prometheus_port: int = 9090
    alertmanager_port: int = 9093
    grafana_port: int = 3000
    exporter_port: int = 9101
    min_free_gb: float = Field(default=2.0, description="disk space without which we do not start")
    dags: Path = Field(default=ROOT / "dags", description="the DAG folder")
    grafana_home: str = Field(
        default="/usr/share/grafana", description="where Grafana's own files are"
    )
    airflow_environment: Path = Field(default=ROOT / ".venv-airflow")

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.absolute()

    def port(self, program: str) -> int:
        """Give a program's port: ``port("mlflow")`` is ``mlflow_port``."""
        port: int = getattr(self, f"{program}_port")
        return port

    def url(self, program: str) -> str:
        """Give a program's address, without a slash at the end."""
        return f"http://{HOST}:{self.port(program)}"
