"""A batch of rows in, a dataset version in the data registry (git + DVC) out, and back again.

The registry is a git repository whose ``<name>.dvc`` files point at Parquet partitions, one a
batch, kept in a DVC remote. Every operation works in a clone of its own, so two runs never meet in
one DVC lock, and a version exists when ``git push --atomic`` has moved branch and tag together:
before that nobody sees anything of it, whatever is killed. A push that somebody else's came before
is done again on top of theirs. (https://dvc.org/doc/user-guide/project-structure/dvc-files)
"""

import logging
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import yaml

from pipelines.exits import Unavailable

if TYPE_CHECKING:  # imports that cost seconds are made when they are needed
    import pandas as pd
    from dvc.repo import Repo

BRANCH = "main"
AUTHOR = ("-c", "user.name=Relay", "-c", "user.email=relay@localhost")
UNSIGNED = ("-c", "commit.gpgSign=false", "-c", "tag.gpgSign=false")  # nobody is there to unlock
ATTEMPTS = 5
OTHERS_FIRST = re.compile(  # what git says of a push where somebody else's came before
    "fetch first|non-fast-forward|already exists|cannot lock ref|failed to update ref|old value"
)


class RegistryError(Unavailable):
    """The data registry could not be read or written; worth trying again."""


class BatchConflict(ValueError):  # noqa: N818  a refusal by the gate, not a fault
    """The batch contradicts what the registry already holds; trying again changes nothing."""


@dataclass(frozen=True)
class Batch:
    """One landing batch inside a dataset version; times are ISO 8601, UTC."""

    name: str
    sha256: str
    rows: int
    start: str
    end: str
    airflow_run: str = ""


@dataclass(frozen=True)
class DatasetVersion:
    """One version of a dataset: what a run is trained on, and can be given again."""

    name: str
    version: int
    revision: str
    md5: str
    batches: tuple[Batch, ...]

    @property
    def tag(self) -> str:
        """The git tag, e.g. ``flights/v3``."""
        return f"{self.name}/v{self.version}"

    @property
    def rows(self) -> int:
        """Rows in all batches."""
        return sum(batch.rows for batch in self.batches)

    @property
    def span(self) -> tuple[str, str]:
        """First and last event time."""
        return min(b.start for b in self.batches), max(b.end for b in self.batches)

    def summary(self) -> dict[str, Any]:
        """What travels between steps: names and revisions, never data."""
        start, end = self.span
        return {
            "dataset": self.name,
            "tag": self.tag,
            "revision": self.revision,
            "md5": self.md5,
            "rows": self.rows,
            "start": start,
            "end": end,
            "batches": [batch.name for batch in self.batches],
        }


class DataRegistry:
    """The data registry at a git URL, its data in the DVC remote, its cache on this machine."""

    def __init__(self, url: str, remote: str, cache: Path) -> None:
        self.url, self.remote, self.cache = url, remote, cache

    def versions(self, name: str) -> list[DatasetVersion]:
        """List every version of a dataset, oldest first; empty if there is none."""
        if self._is_new():
            return []
        with self._clone() as clone:
            tags = _git(clone, "tag", "--list", f"{name}/v*").split()
            found = [_describe(clone, name, tag) for tag in tags]
        return sorted(found, key=lambda version: version.version)

    def latest(self, name: str) -> DatasetVersion | None:
        """Return the newest version, or None before the first."""
        return next(reversed(self.versions(name)), None)

    def get(self, name: str, reference: str) -> DatasetVersion:
        """Return the version with this tag (``flights/v3``) or git revision."""
        for version in self.versions(name):
            if reference in {version.tag, version.revision}:
                return version
        raise RegistryError(f"dataset {name!r} has no version {reference!r} in {self.url}")

    def read(self, version: DatasetVersion, since: str | None = None) -> "pd.DataFrame":
        """Fetch a version's rows; ``since`` (ISO 8601) leaves out batches that end before it."""
        import pandas as pd

        wanted = [b for b in version.batches if since is None or b.end >= since]
        with self._clone() as clone:
            _git(clone, "checkout", "--quiet", version.revision)
            paths = [clone / version.name / f"{batch.name}.parquet" for batch in wanted]
            with self._dvc(clone) as repo:
                repo.pull(targets=[str(path) for path in paths])
            return pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)

    def publish(self, name: str, batch: Batch, rows: "pd.DataFrame") -> DatasetVersion:
        """Add a batch; the version that holds it is returned, new or (same content) old.

        Raises:
            BatchConflict: the registry holds other content of this name or time.
            RegistryError: git or DVC failed, or others were always faster.

        """
        if self._is_new():
            self._create()
        lost = ""
        for _ in range(ATTEMPTS):
            with self._clone() as clone:
                held = self._newest(clone, name)
                if held and is_held(held, batch):
                    return held
                version = held.version + 1 if held else 1
                self._add(clone, name, (*(held.batches if held else ()), batch), rows)
                lost = self._push(clone, f"{name}/v{version}", f"{name}: add {batch.name}")
                if not lost:
                    return _describe(clone, name, f"{name}/v{version}")
        raise RegistryError(f"{ATTEMPTS} pushes of {batch.name} lost to others, the last: {lost}")

    def _newest(self, clone: Path, name: str) -> DatasetVersion | None:
        tags = _git(clone, "tag", "--list", f"{name}/v*").split()
        if not tags:
            return None
        return _describe(clone, name, max(tags, key=_number))

    def _add(
        self, clone: Path, name: str, batches: tuple[Batch, ...], rows: "pd.DataFrame"
    ) -> None:
        newest = batches[-1]
        (clone / name).mkdir(exist_ok=True)
        rows.to_parquet(clone / name / f"{newest.name}.parquet", index=False)
        pointer = clone / f"{name}.dvc"
        with self._dvc(clone) as repo:
            inside = pointer.exists()  # then DVC needs only the new file, not all the others
            repo.add([str(clone / name / f"{newest.name}.parquet" if inside else clone / name)])
            repo.push(targets=[str(pointer)])
        content = yaml.safe_load(pointer.read_text())
        content["meta"] = {"batches": [asdict(batch) for batch in batches]}
        pointer.write_text(yaml.safe_dump(content, sort_keys=False))

    def _push(self, clone: Path, tag: str, message: str) -> str:
        """Make commit and tag, and push both or neither; say what came before, if anything did."""
        _git(clone, "add", "--all")
        _git(clone, *AUTHOR, *UNSIGNED, "commit", "--quiet", "--message", message)
        _git(clone, *AUTHOR, *UNSIGNED, "tag", "--annotate", tag, "--message", message)
        try:
            _git(clone, "push", "--quiet", "--atomic", "origin", BRANCH, tag)
        except RegistryError as error:
            if not OTHERS_FIRST.search(str(error)):
                raise RegistryError(f"{self.url}: {error}") from error
            return str(error)
        return ""

    def _is_new(self) -> bool:
        elsewhere = re.match("[^/]+:", self.url)  # git's rule: https://..., host:path
        return not elsewhere and not Path(self.url).exists()

    def _create(self) -> None:
        """Make a local registry appear at once, whole; or leave the one that others just made."""
        place = Path(self.url)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(prefix=".new-", dir=place.parent) as folder:
                new = Path(folder) / "registry"
                _git(Path(), "init", "--quiet", "--bare", "--initial-branch", BRANCH, str(new))
                new.rename(place)
        except OSError as error:
            if not place.exists():
                raise RegistryError(f"{self.url} cannot be made: {error}") from error

    @contextmanager
    def _clone(self) -> Iterator[Path]:
        with TemporaryDirectory(prefix="relay-data-") as folder:
            clone = Path(folder) / "registry"
            _git(Path(), "clone", "--quiet", self.url, str(clone))
            if not (clone / ".dvc").exists():
                _git(clone, "symbolic-ref", "HEAD", f"refs/heads/{BRANCH}")
            yield clone

    @contextmanager
    def _dvc(self, clone: Path) -> "Iterator[Repo]":
        from dvc.exceptions import DvcException
        from dvc.repo import Repo

        logging.getLogger("dvc").setLevel(logging.WARNING)  # no hints for a prompt
        if not (clone / ".dvc").exists():
            with Repo.init(str(clone)) as repo, repo.config.edit("repo") as config:
                config["core"] |= {"remote": "storage", "analytics": False, "check_update": False}
                config["remote"]["storage"] = {"url": self.remote}
        with Repo(str(clone)) as repo, repo.config.edit("local") as config:
            config["remote"]["storage"] = {"url": self.remote}
            config["cache"]["dir"] = str(self.cache)
            config["core"]["site_cache_dir"] = str(clone / ".dvc" / "site")
        try:
            with Repo(str(clone)) as repo:
                yield repo
        except (DvcException, OSError) as error:  # a remote's or cache's OSError comes as it is
            raise RegistryError(f"DVC on {self.url}, remote {self.remote}: {error}") from error


def is_held(version: DatasetVersion, batch: Batch) -> bool:
    """Tell if a version holds this very batch; raise ``BatchConflict`` if they contradict."""
    for held in version.batches:
        if held.sha256 == batch.sha256:
            return True
        if held.name == batch.name:
            raise BatchConflict(
                f"batch {batch.name} is already in {version.tag} with other content: a correction "
                f"needs a new name, or the old one taken out of the data registry by hand"
            )
        if batch.start <= held.end and held.start <= batch.end:
            raise BatchConflict(
                f"batch {batch.name} ({batch.start} to {batch.end}) repeats the time of "
                f"{held.name} ({held.start} to {held.end}), which {version.tag} already holds"
            )
    return False


def _describe(clone: Path, name: str, tag: str) -> DatasetVersion:
    content = yaml.safe_load(_git(clone, "show", f"{tag}:{name}.dvc"))
    return DatasetVersion(
        name=name,
        version=_number(tag),
        revision=_git(clone, "rev-list", "-1", tag).strip(),
        md5=content["outs"][0]["md5"],
        batches=tuple(Batch(**batch) for batch in content["meta"]["batches"]),
    )


def _number(tag: str) -> int:
    return int(tag.rpartition("/v")[2])


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env=os.environ | {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"},  # we read it, nobody answers
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RegistryError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
