"""Which pages may ask: our own, under a name that is ours, and no other site's."""

from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import urlsplit

from services.serving.errors import RequestError, shown
from services.serving.http.exchange import GivenHeaders


class Origins:
    """What browsers say of the page that asks. Programs say nothing, and may ask.

    https://fetch.spec.whatwg.org/#origin-header
    """

    def __init__(self, allowed_hosts: Iterable[str]) -> None:
        self._names = {"localhost", *(name.lower() for name in allowed_hosts)}

    def check(self, headers: GivenHeaders) -> None:
        """Refuse a page that a person has open elsewhere. Raises RequestError (403).

        Another site can lead a name of its own to this address, so that its page seems to be ours.
        """
        origin = headers.get("origin")
        if origin is None:
            return
        place = f"a page of {shown(origin)} may not ask"
        if origin.partition("://")[2] != headers.get("host"):
            raise RequestError(403, f"{place}: only programs, and our own pages")
        if not self._is_ours(origin):
            raise RequestError(403, f"{place}: its host is not in RELAY_SERVING_ALLOWED_HOSTS")

    def _is_ours(self, origin: str) -> bool:
        with suppress(ValueError):  # it is no address
            name = urlsplit(origin).hostname or ""
            return name in self._names or bool(ip_address(name))
        return False
