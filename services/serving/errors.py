"""What a client did wrong, in words that name the field, the value and what is wanted."""

from collections.abc import Mapping

_FIELD_CHARACTERS = 256


class RequestError(Exception):
    """A refusal with an HTTP status; `message` goes to the client, so it holds no secret.

    `retry_after` says in how many seconds it is worth to ask again; `headers` go along over HTTP.
    `field` may be a name that the client made up, so it is cut to 256 characters.
    """

    def __init__(
        self,
        status: int,
        message: str,
        field: str | None = None,
        *,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.field = field and field[:_FIELD_CHARACTERS]
        self.retry_after = retry_after
        self.headers = headers or {}


class LoadError(Exception):
    """A model version that must not take traffic, and why."""


def shown(value: object) -> str:
    """Show a client's value in a message, at most 80 characters of it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value[:80]) if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
