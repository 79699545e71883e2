"""Numbers and times in, words for people out."""

from datetime import UTC, datetime

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def span(seconds: float | None) -> str:
    """Say a duration in its one or two largest units: `3 h 20 min`."""
    if seconds is None:
        return "unknown"
    rest, said = max(0, round(seconds)), []
    for size, name in _UNITS:
        if rest >= size:
            said.append(f"{rest // size} {name}")
            rest %= size
    return " ".join(said[:2]) or "0 s"


def ago(seconds: float | None) -> str:
    """Say how long ago something was."""
    if seconds is None:
        return "never seen"
    return f"{span(seconds - seconds % 60 if seconds > 60 else seconds)} ago"


def count(number: float | None, one: str, many: str = "") -> str:
    """Say a count with its noun: `1 row`, `82,000 rows`; nothing where it is not known."""
    if number is None:
        return ""
    return f"{number:,.0f} {one if number == 1 else many or one + 's'}"


def clock(when: datetime) -> str:
    """Say a time to the second, in UTC as everything here."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def since(when: datetime | str) -> str:
    """Say how long ago a time (or its ISO 8601 text) was."""
    then = datetime.fromisoformat(when) if isinstance(when, str) else when
    return ago((datetime.now(UTC) - then).total_seconds())
