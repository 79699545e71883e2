"""Compressed bodies: unpacked within a bound, refused by what is wrong with them."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.serving.errors import RequestError
from services.serving.http.compression import compress, decompress

PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}


@pytest.mark.parametrize("name", PACK)
def test_a_body_is_unpacked_up_to_the_limit(name: str) -> None:
    packed = PACK[name](b"x" * 1000)
    assert decompress(packed, name.upper(), 1000) == b"x" * 1000
    with pytest.raises(RequestError, match="more than 999 bytes") as refusal:
        decompress(packed, name, 999)
    assert refusal.value.status == 413


def test_a_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(bytes(200 * 2**20))
    assert len(bomb) < 2**20
    tracemalloc.start()
    try:
        with pytest.raises(RequestError, match="unpacks to more than"):
            decompress(bomb, "gzip", 2**20)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8 * 2**20


@pytest.mark.parametrize("encoding", ["", "identity"])
def test_a_plain_body_stays(encoding: str) -> None:
    assert decompress(b"{}", encoding, 2) == b"{}"


BAD = {
    "unknown": (b"{}", "br", 415, "got 'br', want gzip or deflate"),
    "several": (b"{}", "gzip, gzip", 415, "want gzip or deflate"),
    "not packed": (b"{}", "gzip", 400, "the body is not gzip"),
    "cut off": (gzip.compress(b"{}" * 99)[:-3], "gzip", 400, "not one whole gzip stream"),
    "more behind": (gzip.compress(b"{}") + b"more", "gzip", 400, "not one whole gzip stream"),
    "empty": (b"", "deflate", 400, "not one whole deflate stream"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_body_that_does_not_unpack_is_refused(name: str) -> None:
    body, encoding, status, words = BAD[name]
    with pytest.raises(RequestError, match=words) as refusal:
        decompress(body, encoding, 1000)
    assert refusal.value.status == status


@given(st.binary(max_size=200), st.sampled_from(sorted(PACK)))
def test_any_body_is_unpacked_or_refused(body: bytes, encoding: str) -> None:
    with suppress(RequestError):
        assert len(decompress(body, encoding, 100)) <= 100


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip, deflate, br", "gzip"), ("Deflate", "deflate"), ("br", None), ("", None)],
)
def test_a_large_answer_is_packed_as_the_client_accepts(
    accepted: str, encoding: str | None
) -> None:
    body = b"0.25," * 10_000
    packed, used = compress(body, accepted)
    assert used == encoding
    assert decompress(packed, used or "", len(body)) == body
    assert encoding is None or len(packed) < len(body) / 2


def test_a_small_answer_stays_plain() -> None:
    assert compress(b"{}", "gzip") == (b"{}", None)
