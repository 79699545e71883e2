"""A question to a REST API in, its answer as a type of ours out, or `SourceAwayError`.

No SDKs: each costs more memory than the exporter with everything it asks.
"""

from typing import TypeVar

import httpx
import msgspec

from services.exporter.source import SourceAwayError

_T = TypeVar("_T")


class RestApi:
    """The connections to one server; waits at most `seconds` for each part of an answer."""

    def __init__(self, url: str, seconds: float, login: tuple[str, str] | None = None) -> None:
        """Take a user and password out of the address, so that no error's text shows them."""
        address = httpx.URL(url)
        auth = login or ((address.username, address.password) if address.userinfo else None)
        self.http = httpx.Client(
            base_url=address.copy_with(username=None, password=None), auth=auth, timeout=seconds
        )

    def get(self, path: str, answer: type[_T], **params: str | int) -> _T:
        """Ask with parameters in the address."""
        return read(self.send("GET", path, params=params), answer)

    def post(self, path: str, answer: type[_T], **content: object) -> _T:
        """Ask with a body of JSON."""
        return read(self.send("POST", path, json=content), answer)

    def send(self, method: str, path: str, **request: object) -> httpx.Response:
        """Send a request; whatever the status of its answer, it is one."""
        try:
            return self.http.request(method, path, **request)  # type: ignore[arg-type]
        except httpx.HTTPError as error:
            raise SourceAwayError(f"{self.http.base_url} does not answer: {error!r}") from error


def read(response: httpx.Response, answer: type[_T]) -> _T:
    """Read an answer strictly."""
    path = response.request.url.path
    if not response.is_success:
        raise SourceAwayError(f"{path} answers {response.status_code}: {response.text[:200]}")
    try:
        return msgspec.json.decode(response.content, type=answer)
    except ValueError as error:
        raise SourceAwayError(f"{path} does not answer as expected: {error}") from error
