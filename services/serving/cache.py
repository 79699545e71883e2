"""The last good versions on this machine's disk: folders of models, and which of them serve.

`served.json` changes by rename and names only versions that have loaded and checked, so a start
without the registry serves what the last process served.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from services.serving.catalog import Alias
from services.serving.predictor import VersionRef

Refs = Mapping[str, Mapping[Alias, VersionRef]]


class Cache:
    """A folder that one serving process owns."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._root = root
        self._state = root / "served.json"
        for left in root.glob(".new-*"):  # of a process that was killed
            shutil.rmtree(left)

    def scratch(self) -> Path:
        """Make a folder to download into; `keep` it or `drop` it."""
        return Path(tempfile.mkdtemp(prefix=".new-", dir=self._root))

    def folder(self, ref: VersionRef) -> Path:
        """Where a version lies, or would lie."""
        return self._root / ref.model / f"{ref.version}-{ref.created}"

    def keep(self, scratch: Path, ref: VersionRef) -> None:
        """Make a downloaded version the one of this reference."""
        folder = self.folder(ref)
        self.drop(folder)
        folder.parent.mkdir(exist_ok=True)
        scratch.rename(folder)

    def drop(self, folder: Path) -> None:
        """Delete a version's files."""
        shutil.rmtree(folder, ignore_errors=True)

    def served(self) -> dict[str, dict[Alias, VersionRef]]:
        """What the last process served; nothing where there was none. Raises ValueError."""
        if not self._state.exists():
            return {}
        return msgspec.json.decode(
            self._state.read_bytes(), type=dict[str, dict[Alias, VersionRef]]
        )

    def remember(self, served: Refs) -> None:
        """Write down what is served now, then delete the versions that are not."""
        new = self._state.with_suffix(".new")
        with new.open("wb") as file:
            file.write(msgspec.json.encode(served))
            file.flush()
            os.fsync(file.fileno())
        new.rename(self._state)
        kept = {self.folder(ref) for refs in served.values() for ref in refs.values()}
        for folder in self._root.glob("*/*"):
            if folder not in kept and not folder.parent.name.startswith(".new-"):
                self.drop(folder)
