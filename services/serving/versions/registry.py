"""MLflow's registry: aliases, tags and artifacts in, version references and model folders out."""

import logging
import re
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

import msgspec

from services.serving.errors import LoadError
from services.serving.predictor import VersionRef
from services.serving.versions import artifacts
from services.serving.versions.catalog import ALIASES, Refs
from services.serving.versions.registry_client import RegistryAwayError, RegistryClient

__all__ = ["Look", "Registry", "RegistryAwayError"]
_log = logging.getLogger(__name__)
_FOLDER_NAME = re.compile(r"(?!\.)[^/\x00-\x1f\x7f]+")
_API = "/api/2.0/mlflow/"
_Number = Annotated[str, msgspec.Meta(pattern=r"^[0-9]+$")]


class _Aliased(msgspec.Struct):
    alias: str
    version: _Number


class _Model(msgspec.Struct):
    name: str
    creation_timestamp: int = 0
    aliases: list[_Aliased] = []


class _Page(msgspec.Struct):
    registered_models: list[msgspec.Raw] = []
    next_page_token: str = ""


class _Uri(msgspec.Struct):
    artifact_uri: str


class _Tag(msgspec.Struct):
    key: str
    value: str = ""


class _Version(msgspec.Struct):
    tags: list[_Tag] = []


class _Got(msgspec.Struct):
    model_version: _Version


class Look(NamedTuple):
    """What the registry says: every model that has one of our aliases.

    Where it is not whole, an entry could not be read: what is missing may well be there. A registry
    without `any_model` at all is a new one, or hides them.
    """

    refs: Refs
    whole: bool
    any_model: bool = True


class Registry:
    """A client of one MLflow server."""

    def __init__(self, url: str) -> None:
        self._client = RegistryClient(url)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def look(self) -> Look:
        """Read all aliases. Raises RegistryAwayError."""
        refs: Refs = {}
        whole, token, count = True, "", 0
        while True:
            asked: dict[str, str | int] = {"max_results": 100, "page_token": token}
            page = await self._client.get(_API + "registered-models/search", asked, _Page)
            count += len(page.registered_models)
            for raw in page.registered_models:
                if model := _read(raw):
                    refs |= _aliased(model)
                else:
                    whole = False
            if page.next_page_token in ("", token):  # the same one again would never end
                return Look(refs, whole and not page.next_page_token, count > 0)
            token = page.next_page_token

    async def tags(self, ref: VersionRef) -> dict[str, str]:
        """Read a version's tags. Raises RegistryAwayError."""
        asked = {"name": ref.model, "version": ref.version}
        got = await self._client.get(_API + "model-versions/get", asked, _Got)
        return {tag.key: tag.value for tag in got.model_version.tags}

    async def tag(self, ref: VersionRef, key: str, value: str) -> None:
        """Write a tag on a version. Raises RegistryAwayError."""
        content = {"name": ref.model, "version": ref.version, "key": key, "value": value}
        await self._client.post(_API + "model-versions/set-tag", content)

    async def fetch(self, ref: VersionRef, folder: Path) -> None:
        """Copy a version's files into a folder. Raises LoadError, RegistryAwayError, OSError."""
        if not _FOLDER_NAME.fullmatch(ref.model):
            message = f"the model's name {ref.model!r} cannot be a folder's, as the prediction log "
            raise LoadError(message + "needs: want no '/' or control character, no '.' in front")
        asked = {"name": ref.model, "version": ref.version}
        found = await self._client.get(_API + "model-versions/get-download-uri", asked, _Uri)
        await artifacts.fetch(self._client, urlsplit(found.artifact_uri), folder)


def _read(raw: msgspec.Raw) -> _Model | None:
    try:
        return msgspec.json.decode(raw, type=_Model)
    except ValueError as error:
        about = {"error": str(error), "entry": bytes(raw)[:200].decode(errors="replace")}
        _log.error("an entry of the registry cannot be read", extra=about)
        return None


def _aliased(model: _Model) -> Refs:
    given = {each.alias: each.version for each in model.aliases}
    versions = {
        alias: VersionRef(model.name, given[alias], model.creation_timestamp)
        for alias in ALIASES
        if alias in given
    }
    return {model.name: versions} if versions else {}
