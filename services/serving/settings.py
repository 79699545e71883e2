"""Where serving listens, reads and writes: the environment (prefix `RELAY_`) in, `Settings` out."""

from pathlib import Path
from typing import Annotated

import httpx
from pydantic import BeforeValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def _names(given: object) -> object:
    if not isinstance(given, str):
        return given
    return [name.strip() for name in given.split(",") if name.strip()]


class Settings(BaseSettings):
    """Every field has the variable `RELAY_<FIELD>`; folders not given lie under `RELAY_HOME`."""

    model_config = SettingsConfigDict(env_prefix="RELAY_", extra="ignore")

    home: Path = Path(".relay")
    mlflow_url: str = "http://127.0.0.1:5000"
    mlflow_user: str = Field(default="relay", description="who we are, where MLflow asks")
    mlflow_password_file: Path | None = Field(default=None, description="none: it does not ask")
    prediction_log: Path = Field(
        default_factory=lambda given: given["home"] / "prediction-log",
        description="root of the prediction log",
    )
    serving_cache: Path = Field(
        default_factory=lambda given: given["home"] / "serving",
        description="last good version of each model",
    )
    serving_host: str = "127.0.0.1"
    serving_port: int = Field(default=8000, ge=1, le=65535)
    serving_grpc_port: int = Field(default=8081, ge=0, le=65535, description="0: no gRPC")
    serving_allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)] = Field(
        default=("serving",),
        description="names, beside localhost and addresses, whose pages may ask, by comma",
    )
    serving_poll_seconds: PositiveFloat = 2.0
    serving_retry_seconds: PositiveFloat = Field(
        default=60.0, description="longest wait between two tries of a version that does not load"
    )
    serving_max_body_bytes: PositiveInt = 16 * 2**20
    serving_max_bytes_of_bodies: PositiveInt = Field(
        default=256 * 2**20, description="of all that are read and answered; beyond it: 503"
    )
    serving_body_seconds: PositiveFloat = Field(
        default=30.0, description="a body that takes longer to come is answered with 408"
    )
    serving_leave_seconds: NonNegativeFloat = Field(
        default=1.0, description="told to stop: not ready, but still listening, for balancers"
    )
    serving_stop_seconds: PositiveFloat = Field(
        default=20.0, description="then: until requests that have not been answered are given up"
    )
    serving_tokens_file: Path | None = Field(
        default=None, description="bearer tokens, one a line; none: whoever reaches it may ask"
    )
    serving_label_tokens_file: Path | None = Field(
        default=None, description="those for labels alone; none: who may ask may label"
    )
    serving_max_batch_rows: PositiveInt = 1024
    serving_max_waiting_rows: PositiveInt = Field(
        default=16384, description="of one model; beyond it the answer is 503"
    )
    serving_answer_seconds: PositiveFloat = Field(
        default=60.0, description="a request whose model takes longer is answered with 503"
    )
    serving_webhook_secret_file: Path | None = Field(
        default=None, description="the secret of MLflow's webhook; none: the registry is polled"
    )
    serving_unsafe_models: Annotated[frozenset[str], NoDecode, BeforeValidator(_names)] = Field(
        default=frozenset(),
        description="registered models that may run the code that they store (pickles), by comma",
    )

    def registry_address(self) -> str:
        """Give MLflow's address, with user and password in it where there is one."""
        if self.mlflow_password_file is None:
            return self.mlflow_url
        password = self.mlflow_password_file.read_text(encoding="utf-8").strip()
        url = httpx.URL(self.mlflow_url)
        return str(url.copy_with(username=self.mlflow_user, password=password))
