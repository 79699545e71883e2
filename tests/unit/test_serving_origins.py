"""Pages that ask: ours by name or address, and no other site's, even where its name leads here."""

import pytest

from services.serving.errors import RequestError
from services.serving.http.origins import Origins

ORIGINS = Origins(["serving", "Relay.example.org"])


@pytest.mark.parametrize(
    "place",
    ["127.0.0.1:8000", "[::1]:8000", "10.1.2.3", "localhost:8000", "serving", "relay.example.org"],
)
def test_our_own_pages_may_ask(place: str) -> None:
    for scheme in ("http", "https"):
        ORIGINS.check({"origin": f"{scheme}://{place}", "host": place})


def test_programs_may_ask_under_any_name() -> None:
    ORIGINS.check({"host": "evil.example"})
    ORIGINS.check({})


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:8001", "null", ""])
def test_pages_of_other_sites_may_not(origin: str) -> None:
    with pytest.raises(RequestError, match="may not ask: only programs, and our own") as refusal:
        ORIGINS.check({"origin": origin, "host": "127.0.0.1:8000"})
    assert refusal.value.status == 403


@pytest.mark.parametrize(
    "place", ["evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "[::1", "1"]
)
def test_a_name_that_another_site_leads_here_is_not_ours(place: str) -> None:
    with pytest.raises(RequestError, match="not in RELAY_SERVING_ALLOWED_HOSTS") as refusal:
        ORIGINS.check({"origin": f"http://{place}", "host": place})
    assert refusal.value.status == 403
