"""The environment (prefix `RELAY_`) in, where to read and where to listen out."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ExporterSettings(BaseSettings):
    """Every field has the variable `RELAY_<FIELD>`; `checks` lies under `home` if not given."""

    model_config = SettingsConfigDict(env_prefix="RELAY_", extra="ignore")

    home: Path = Path(".relay")
    checks: Path = Field(
        default_factory=lambda given: given["home"] / "checks",
        description="newest monitor run per model",
    )
    exporter_host: str = "127.0.0.1"
    exporter_port: int = Field(default=9101, ge=0, le=65535)
