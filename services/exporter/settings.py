"""The environment (prefix `RELAY_`) in, where to read and where to listen out."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ExporterSettings(BaseSettings):
    """Every field has the variable `RELAY_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="RELAY_", frozen=True, extra="ignore")

    checks: Path = Field(default=Path(".relay/checks"), description="newest monitor run per model")
    exporter_host: str = "127.0.0.1"
    exporter_port: int = Field(default=9101, ge=0, le=65535)
