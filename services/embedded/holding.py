"""A platform's home in; the right to be the one that runs it out, or who has it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from services.embedded.preflight import PlatformError


@contextmanager
def held(home: Path) -> Iterator[None]:
    """Hold the home while the block runs; the kernel lets go of it when we end, however we end."""
    with _file(home).open("a+", encoding="utf-8") as file:
        if not _lock(file):
            raise PlatformError(
                f"a platform already runs from {home}, process {_written(file)}: end it with "
                "Ctrl-C where it runs, or with `.venv/bin/python -m services.embedded down`; or "
                "set RELAY_HOME and the RELAY_*_PORTs for a second one"
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def holder(home: Path) -> int | None:
    """Give the process that holds this home; None when nobody does."""
    if not _file(home).exists():
        return None
    with _file(home).open("r+", encoding="utf-8") as file:
        return None if _lock(file) else int(_written(file))


def _file(home: Path) -> Path:
    return home / "run/holder"


def _lock(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _written(file: TextIO) -> str:
    file.seek(0)
    return file.read()
