"""A data registry (git) and the quarantine in; the newest version of each dataset out.

Versions are the tags `<dataset>/v<number>`; `<dataset>.dvc` in one says which batches it holds.
Only the list of tags is asked for each time: what a tag points at never changes, and is fetched
once.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import msgspec
import yaml

from services.exporter.gauges import Gauge, Sample
from services.exporter.git import git
from services.exporter.source import SourceAwayError

TAG = re.compile(r"(?P<hash>[0-9a-f]+)\trefs/tags/(?P<dataset>.+)/v(?P<version>[0-9]+)")

VERSION = Gauge("relay_dataset_version", "Number of the newest version", ("dataset",))
ROWS = Gauge("relay_dataset_rows", "Rows of the newest version", ("dataset",))
NEWEST_EVENT = Gauge(
    "relay_dataset_newest_event_timestamp_seconds", "Event time of its newest row", ("dataset",)
)
CREATED = Gauge("relay_dataset_created_timestamp_seconds", "When it was published", ("dataset",))
QUARANTINED = Gauge(
    "relay_quarantined_batches", "Refused batches that lie in quarantine", ("model",)
)


class _Batch(msgspec.Struct):
    rows: int
    end: Annotated[datetime, msgspec.Meta(tz=True)]


class _Meta(msgspec.Struct):
    batches: Annotated[list[_Batch], msgspec.Meta(min_length=1)]


class _Pointer(msgspec.Struct):
    meta: _Meta


@dataclass(frozen=True)
class Version:
    """A dataset's version, and the hash of the tag that names it."""

    dataset: str
    number: int
    hash: str

    @property
    def tag(self) -> str:
        """The git tag, such as `flights/v3`."""
        return f"{self.dataset}/v{self.number}"


class DataRegistrySource:
    """Asks the git repository at an address or in a folder, and looks into a folder."""

    name = "data_registry"

    def __init__(self, url: str, quarantine: Path, seconds: float) -> None:
        self._url = url
        self._quarantine = quarantine
        self._seconds = seconds
        self._fetched: dict[Version, list[Sample]] = {}

    def read(self) -> Iterator[Sample]:
        """Read the newest versions, and count what was refused. Raises SourceAwayError."""
        listed = git("ls-remote", "--tags", "--refs", self._url, seconds=self._seconds)
        newest = newest_versions(listed.splitlines())
        self._fetched = {
            version: self._fetched.get(version) or self._fetch(version) for version in newest
        }
        for samples in self._fetched.values():
            yield from samples
        for model, count in self._refused({version.dataset for version in newest}).items():
            yield QUARANTINED(count, model)

    def _fetch(self, version: Version) -> list[Sample]:
        with TemporaryDirectory(prefix="relay-exporter-") as clone:
            inside = partial(git, repository=clone, seconds=self._seconds)
            inside("init", "--quiet", "--bare")
            inside("fetch", "--quiet", "--depth=1", self._url, f"refs/tags/{version.tag}")
            content = inside("show", f"FETCH_HEAD:{version.dataset}.dvc")
            created = inside("log", "-1", "--format=%ct", "FETCH_HEAD")
        batches = _batches(content, version.tag)
        return [
            VERSION(version.number, version.dataset),
            ROWS(sum(batch.rows for batch in batches), version.dataset),
            NEWEST_EVENT(max(batch.end for batch in batches).timestamp(), version.dataset),
            CREATED(float(created), version.dataset),
        ]

    def _refused(self, models: Iterable[str]) -> dict[str, int]:
        """Count each model's refused batches: every one lies beside a report, `<batch>.json`."""
        try:
            if self._quarantine.exists():  # nothing was ever refused
                models = {*models, *(path.name for path in self._quarantine.iterdir())}
            return {model: len([*(self._quarantine / model).glob("*.json")]) for model in models}
        except OSError as error:
            raise SourceAwayError(f"the quarantine cannot be read: {error}") from error


def newest_versions(listed: Iterable[str]) -> list[Version]:
    """Pick each dataset's newest version from what `git ls-remote` lists."""
    found = (TAG.fullmatch(line) for line in listed)
    versions = [Version(tag["dataset"], int(tag["version"]), tag["hash"]) for tag in found if tag]
    by_number = sorted(versions, key=lambda version: version.number)
    return list({version.dataset: version for version in by_number}.values())


def _batches(content: str, tag: str) -> list[_Batch]:
    try:
        return msgspec.convert(yaml.safe_load(content), _Pointer).meta.batches
    except (yaml.YAMLError, ValueError) as error:
        raise SourceAwayError(f"{tag} does not say which batches it holds: {error}") from error
