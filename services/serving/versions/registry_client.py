"""A request to MLflow's REST API in, its answer as a type of ours out, or RegistryAwayError.

https://mlflow.org/docs/latest/api_reference/rest-api.html. No SDK, which would cost more memory
than everything else here together.
"""

from collections.abc import Mapping
from typing import TypeVar

import httpx
import msgspec

_T = TypeVar("_T")


class RegistryAwayError(Exception):
    """The registry did not answer, or not as MLflow does."""


class RegistryClient:
    """The connections to one MLflow server."""

    def __init__(self, url: str) -> None:
        """Take a user and password out of the address, so that no error's text shows them."""
        address = httpx.URL(url)
        auth = (address.username, address.password) if address.userinfo else None
        self.http = httpx.AsyncClient(
            base_url=address.copy_with(username=None, password=None),
            auth=auth,
            timeout=httpx.Timeout(10, read=60),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self.http.aclose()

    async def get(self, path: str, params: Mapping[str, str | int], answer: type[_T]) -> _T:
        """Ask, and read the answer strictly. Raises RegistryAwayError."""
        return await self._ask("GET", path, answer, params=params)

    async def post(self, path: str, content: Mapping[str, str]) -> None:
        """Tell. Raises RegistryAwayError."""
        await self._ask("POST", path, dict, json=content)

    async def _ask(self, method: str, path: str, answer: type[_T], **request: object) -> _T:
        try:
            response = await self.http.request(method, path, **request)  # type: ignore[arg-type]
            response.raise_for_status()
            return msgspec.json.decode(response.content, type=answer)
        except (httpx.HTTPError, ValueError) as error:
            raise RegistryAwayError(f"{path}: {error!r}") from error
