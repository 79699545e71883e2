"""The last good versions on this machine's disk: folders of models, and which of them serve.

`served.json` changes by rename and names only versions that have loaded and checked, so a start
without the registry serves what the last process served.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from services.serving.predictor import VersionRef
from services.serving.versions.catalog import ALIASES, Alias, Refs

_SERVED = "served.json"
_log = logging.getLogger(__name__)


class Cache:
    """A folder that one serving process owns. Each call may wait for the disk: use a thread."""

    def __init__(self, root: Path) -> None:
        """Make the folder. Raises OSError, in words that say the way out."""
        self._root = root
        self._models = root / "models"
        try:
            root.mkdir(parents=True, exist_ok=True)
            for left in root.glob(".new-*"):  # of a process that was killed
                shutil.rmtree(left)
            tempfile.TemporaryFile(dir=root).close()
        except OSError as error:
            message = f"the cache {root} cannot be written ({error.strerror}): "
            raise OSError(message + "set RELAY_SERVING_CACHE to a folder that can") from error

    def scratch(self) -> Path:
        """Make a folder to download into; whatever becomes of it, `drop` it."""
        return Path(tempfile.mkdtemp(prefix=".new-", dir=self._root))

    def folder(self, ref: VersionRef) -> Path:
        """Where a version lies, or would lie."""
        return self._models / ref.model / f"{ref.version}-{ref.created}"

    def place(self, scratch: Path, ref: VersionRef) -> None:
        """Put a version, downloaded into its scratch folder, where it is loaded from.

        What lay there, as after a start that could not load it, is set aside until it is dropped.
        """
        folder = self.folder(ref)
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            folder.rename(scratch / "before")
        (scratch / "model").rename(folder)

    def put_back(self, scratch: Path, ref: VersionRef) -> None:
        """Take a version away that did not load; what lay there before lies there again."""
        folder = self.folder(ref)
        self.drop(folder)
        if (scratch / "before").exists():
            (scratch / "before").rename(folder)

    def drop(self, folder: Path) -> None:
        """Delete a version's files."""
        shutil.rmtree(folder, ignore_errors=True)

    def served(self) -> Refs:
        """What the last process served; what cannot be read of it is said and left out."""
        try:
            text = self.read(_SERVED)
            entries = msgspec.json.decode(text, type=dict[str, dict[str, msgspec.Raw]])
        except (OSError, ValueError) as error:
            _log.error("the cache cannot be read", extra={"error": str(error)})
            return {}
        found = (
            (alias, ref)
            for refs in entries.values()
            for alias in ALIASES
            if alias in refs and (ref := _read(refs[alias]))
        )
        served: Refs = {}
        for alias, ref in found:
            served.setdefault(ref.model, {})[alias] = ref
        return served

    def remember(self, served: Mapping[str, Mapping[Alias, VersionRef]], *, tidy: bool) -> None:
        """Write down what is served now; `tidy`: delete what is not. Raises OSError."""
        self.write(_SERVED, msgspec.json.encode(served))
        if not tidy:  # something is being loaded
            return
        kept = {self.folder(ref) for refs in served.values() for ref in refs.values()}
        for folder in self._models.glob("*/*"):
            if folder not in kept:
                self.drop(folder)

    def read(self, name: str) -> bytes:
        """Read a small file of ours, an empty object where there is none. Raises OSError."""
        file = self._root / name
        return file.read_bytes() if file.exists() else b"{}"

    def write(self, name: str, content: bytes) -> None:
        """Write a small file of ours, whole or not at all. Raises OSError."""
        new = self._root / f"{name}.new"
        with new.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.rename(self._root / name)


def _read(raw: msgspec.Raw) -> VersionRef | None:
    try:
        ref = msgspec.json.decode(raw, type=VersionRef)
        if not ref.version.isdecimal():
            raise ValueError(f"version {ref.version!r} is no number")
    except ValueError as error:
        _log.error("an entry of the cache cannot be read", extra={"error": str(error)})
        return None
    return ref
