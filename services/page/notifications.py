"""Alertmanager's webhook payload, version 4, in; a checked `Notification` out.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

Status = Literal["firing", "resolved"]
Words = dict[str, str]


class _Sent(BaseModel):
    """What Alertmanager adds in a later release is kept too: the trail is what was said."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)


class Alert(_Sent):
    """One alert of a notification; `ends_at` has a meaning once it is resolved."""

    status: Status
    labels: Words = Field(min_length=1)
    annotations: Words = {}
    starts_at: AwareDatetime = Field(alias="startsAt")
    ends_at: AwareDatetime | None = Field(default=None, alias="endsAt")
    generator_url: str = Field(default="", alias="generatorURL")
    fingerprint: str = ""

    @property
    def name(self) -> str:
        """Its rule's name."""
        return self.labels.get("alertname", "")

    @property
    def ended(self) -> datetime | None:
        """When it ended; None while it fires (Alertmanager then sends the year 1)."""
        return self.ends_at if self.status == "resolved" else None


class Notification(_Sent):
    """A group of alerts, as Alertmanager sends it."""

    version: Literal["4"]
    status: Status
    receiver: str
    alerts: tuple[Alert, ...] = Field(min_length=1)
    group_key: str = Field(default="", alias="groupKey")
    truncated_alerts: int = Field(default=0, ge=0, alias="truncatedAlerts")


class WrongPayloadError(ValueError):
    """A body that is no notification; `field` is the path to what is wrong, "" for all of it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field


def read_notification(body: bytes) -> Notification:
    """Check a request's body.

    Raises:
        WrongPayloadError: it is no JSON, or not what Alertmanager sends; names the first field.

    """
    try:
        return Notification.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise WrongPayloadError(field, first["msg"]) from error
