"""A model version's files in MLflow in, a folder of them out; a file that came short is none.

Through MLflow (`mlflow server --serve-artifacts`, its default), or from a folder that this machine
can read. Object stores hold no key of ours: MLflow speaks to them.
"""

import asyncio
import shutil
from pathlib import Path, PurePosixPath
from typing import Annotated
from urllib.parse import SplitResult, quote, unquote

import httpx
import msgspec

from services.serving.errors import LoadError
from services.serving.versions.registry_client import RegistryAwayError, RegistryClient

_ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
_CHUNK = 2**20  # bytes; each is written by a thread


class _Entry(msgspec.Struct):
    path: str
    is_dir: bool = False
    file_size: Annotated[int, msgspec.Meta(ge=0)] | None = None


class _Listing(msgspec.Struct):
    files: list[_Entry] = []


async def fetch(client: RegistryClient, uri: SplitResult, folder: Path) -> None:
    """Copy the folder at an artifact URI. Raises LoadError, RegistryAwayError, OSError."""
    if uri.scheme == "mlflow-artifacts":
        await _fetch_folder(client, uri.path.strip("/"), folder)
    elif uri.scheme in ("", "file"):
        path = unquote(uri.path) if uri.scheme else uri.path
        await asyncio.to_thread(_copy, Path(path), folder)
    else:
        message = f"artifacts lie at {uri.scheme}:, which serving does not read: "
        raise LoadError(message + "start MLflow with --serve-artifacts")


def _copy(source: Path, folder: Path) -> None:
    if not (source / "MLmodel").is_file():
        message = f"artifacts lie in {source}, where this machine has no model: "
        raise LoadError(message + "start MLflow with --serve-artifacts")
    shutil.copytree(source, folder)


async def _fetch_folder(client: RegistryClient, path: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    listing = await client.get(_ARTIFACTS, {"path": path}, _Listing)
    for entry in listing.files:
        name = PurePosixPath(entry.path).name
        if name in ("", "..", "."):
            raise LoadError(f"artifact {entry.path!r} has no name of its own")
        if entry.is_dir:
            await _fetch_folder(client, f"{path}/{name}", folder / name)
        else:
            await _fetch_file(client, f"{path}/{name}", folder / name, entry.file_size)


async def _fetch_file(client: RegistryClient, path: str, target: Path, size: int | None) -> None:
    try:
        async with client.http.stream("GET", f"{_ARTIFACTS}/{quote(path)}") as response:
            response.raise_for_status()
            with target.open("wb") as file:
                async for chunk in response.aiter_bytes(_CHUNK):
                    await asyncio.to_thread(file.write, chunk)
    except httpx.HTTPStatusError as error:
        raise LoadError(f"artifact {path!r}: {error}") from error
    except httpx.HTTPError as error:
        raise RegistryAwayError(f"{path}: {error!r}") from error
    if size is not None and target.stat().st_size != size:
        message = f"artifact {path!r} came with {target.stat().st_size} bytes, want {size}"
        raise RegistryAwayError(message)
