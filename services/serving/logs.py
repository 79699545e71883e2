"""Log records in, one line of JSON each on stdout out; `extra=` fields become keys."""

import logging
import sys
from datetime import UTC, datetime

import msgspec

_STANDARD = logging.LogRecord("", 0, "", 0, "", (), None).__dict__.keys() | {"message", "taskName"}


class JsonFormatter(logging.Formatter):
    """Time, level, logger, message, then the fields that were given along."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as one line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: v for name, v in record.__dict__.items() if name not in _STANDARD},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


def log_as_json() -> None:
    """Send everything from INFO up to stdout; a request of our own is no news."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
