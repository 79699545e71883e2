"""MLflow's registry over its REST API: aliases in, version references and model folders out.

https://mlflow.org/docs/latest/api_reference/rest-api.html. No SDK, which would cost more memory
than everything else here together.
"""

import re
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from services.serving.catalog import ALIASES, Alias
from services.serving.errors import LoadError
from services.serving.predictor import VersionRef

_FOLDER_NAME = re.compile(r"(?!\.)[^/\x00-\x1f\x7f]+")
Wanted = dict[str, dict[Alias, VersionRef]]
_API = "/api/2.0/mlflow/"
_ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


class RegistryAwayError(Exception):
    """The registry did not answer, or not as MLflow does."""


class Registry:
    """A client of one MLflow server."""

    def __init__(self, url: str) -> None:
        self._client = httpx.AsyncClient(base_url=url, timeout=httpx.Timeout(10, read=60))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def wanted(self) -> Wanted:
        """Give every model that has one of our aliases. Raises RegistryAwayError."""
        wanted: Wanted = {}
        token = ""
        while True:
            found = await self._get(
                _API + "registered-models/search", {"max_results": 100, "page_token": token}
            )
            for model in found.get("registered_models", []):
                if versions := _aliased(model):
                    wanted[model["name"]] = versions
            if not (token := found.get("next_page_token", "")):
                return wanted

    async def fetch(self, ref: VersionRef, folder: Path) -> None:
        """Download a version's files into a folder. Raises LoadError, RegistryAwayError."""
        if not _FOLDER_NAME.fullmatch(ref.model):
            message = f"the model's name {ref.model!r} cannot be a folder's, as the prediction log "
            raise LoadError(message + "needs: want no '/' or control character, no '.' in front")
        found = await self._get(
            _API + "model-versions/get-download-uri", {"name": ref.model, "version": ref.version}
        )
        uri = urlsplit(found["artifact_uri"])
        if uri.scheme != "mlflow-artifacts":
            message = f"artifacts lie at {uri.scheme or 'file'}:, which serving does not read: "
            raise LoadError(message + "start MLflow with --serve-artifacts")
        await self._fetch_folder(uri.path.strip("/"), folder)

    async def _fetch_folder(self, path: str, folder: Path) -> None:
        folder.mkdir(parents=True)
        listing = await self._get(_ARTIFACTS, {"path": path})
        for entry in listing.get("files", []):
            name = PurePosixPath(entry["path"]).name
            if name in ("", "..", "."):
                raise LoadError(f"artifact {entry['path']!r} has no name of its own")
            if entry.get("is_dir"):
                await self._fetch_folder(f"{path}/{name}", folder / name)
            else:
                await self._fetch_file(f"{path}/{name}", folder / name)

    async def _fetch_file(self, path: str, target: Path) -> None:
        try:
            async with self._client.stream("GET", f"{_ARTIFACTS}/{quote(path)}") as response:
                response.raise_for_status()
                with target.open("wb") as file:
                    async for chunk in response.aiter_bytes():
                        file.write(chunk)
        except httpx.HTTPStatusError as error:
            raise LoadError(f"artifact {path!r}: {error}") from error
        except httpx.HTTPError as error:
            raise RegistryAwayError(f"{path}: {error!r}") from error

    async def _get(self, path: str, params: dict[str, Any]) -> Any:
        try:
            response = await self._client.get(path, params=params)
            response.raise_for_status()
            return response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise RegistryAwayError(f"{path}: {error!r}") from error


def _aliased(model: dict[str, Any]) -> dict[Alias, VersionRef]:
    created = int(model.get("creation_timestamp", 0))
    given = {entry["alias"]: str(entry["version"]) for entry in model.get("aliases", [])}
    return {
        alias: VersionRef(model["name"], given[alias], created)
        for alias in ALIASES
        if alias in given
    }
