"""The folders that fill up in; how much room is left where they lie out."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from services.exporter.gauges import Gauge, Sample
from services.exporter.source import SourceAwayError

FREE = Gauge("relay_disk_free_bytes", "Room that is left to us", ("volume",))
SIZE = Gauge("relay_disk_size_bytes", "Room that is used or left to us", ("volume",))


class DiskSource:
    """Looks at the volume of the home, and at the prediction log's where that is another one."""

    name = "disk"

    def __init__(self, home: Path, prediction_log: Path) -> None:
        self._home = home
        self._prediction_log = prediction_log

    def read(self) -> Iterator[Sample]:
        """Read how full they are. Raises SourceAwayError."""
        try:
            yield from _volume("home", self._home)
            if self._has_its_own():
                yield from _volume("prediction_log", self._prediction_log)
        except OSError as error:
            raise SourceAwayError(str(error)) from error

    def _has_its_own(self) -> bool:
        log = self._prediction_log
        if not log.exists() and log.is_relative_to(self._home):
            return False  # nobody has asked serving anything yet
        return log.stat().st_dev != self._home.stat().st_dev


def _volume(name: str, folder: Path) -> Iterator[Sample]:
    usage = shutil.disk_usage(folder)
    yield FREE(usage.free, name)
    yield SIZE(usage.used + usage.free, name)  # as df has it: not what is reserved for root
