"""Bearer tokens: files of them in, requests that bring none of them refused.

RFC 6750. One token a line, `#` begins a comment. Two lines let a client move to a new token before
the old one goes. Only hashes are kept; no token is ever logged.
"""

import hashlib
import hmac
import logging
import re
from pathlib import Path
from typing import Literal

from services.serving.errors import RequestError
from services.serving.http.exchange import GivenHeaders

Access = Literal["anyone", "ask", "label"]  # what a route wants: no token, one to ask, to label
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, 2.1
_MIN_CHARACTERS = 32
_log = logging.getLogger(__name__)


class Guard:
    """Who may ask, and who may label: each by a file of tokens, or whoever reaches the server.

    Labels decide what is trained on, so they may want tokens of their own; those that only ask
    with are then no good for them, nor the other way round. Without, they want what asking wants.
    """

    def __init__(self, asking: Path | None, labelling: Path | None) -> None:
        """Read the files. Raises OSError, ValueError."""
        ask = Tokens(asking) if asking else None
        label = Tokens(labelling) if labelling else ask
        self._wanted: dict[Access, Tokens | None] = {"anyone": None, "ask": ask, "label": label}

    def check(self, access: Access, headers: GivenHeaders) -> None:
        """Look at the `Authorization` header, or gRPC's metadata of that name, if one is wanted.

        Raises RequestError (401).
        """
        if tokens := self._wanted[access]:
            tokens.check(headers.get("authorization"))

    def refresh(self) -> None:
        """Read files again that have changed; called now and then."""
        for tokens in {id(each): each for each in self._wanted.values() if each}.values():
            tokens.refresh()


class Tokens:
    """The tokens of a file that is read again when it changes.

    A file that cannot be read later changes nothing: who was let in still is, nobody else.
    """

    def __init__(self, file: Path) -> None:
        """Read the file. Raises OSError, ValueError."""
        self._file = file
        self._state = _state_of(file)
        self._hashes = read_tokens(file)

    def check(self, authorization: str | None) -> None:
        """Want one of the tokens. Raises RequestError (401)."""
        if authorization is None:
            raise _refusal("a token is wanted: Authorization: Bearer <token>", "Bearer")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not self._knows(token.strip()):
            raise _refusal("the token is not known here", 'Bearer error="invalid_token"')

    def refresh(self) -> None:
        """Read the file again if it is another one than before."""
        try:
            state = _state_of(self._file)
            if state != self._state:
                self._state = state
                self._hashes = read_tokens(self._file)
                _log.info("tokens read again", extra={"tokens": len(self._hashes)})
        except (OSError, ValueError) as error:
            if self._state is not None:
                message = "the tokens' file cannot be read, those that were known stay"
                _log.error(message, extra={"error": str(error)})
            self._state = None

    def _knows(self, token: str) -> bool:
        """Compare with all of them, so that the time tells nothing."""
        given = _hash(token)
        return sum([hmac.compare_digest(given, each) for each in self._hashes]) > 0


def read_tokens(file: Path) -> list[bytes]:
    """Give the hashes of a file's tokens. Raises OSError, ValueError."""
    if file.stat().st_mode & 0o006:
        raise ValueError(f"{file} can be read or written by everybody: chmod 600 it")
    hashes = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        token = line.partition("#")[0].strip()
        if not token:
            continue
        if len(token) < _MIN_CHARACTERS or not _TOKEN.fullmatch(token):
            wanted = f"{_MIN_CHARACTERS} or more letters, digits and -._~+/: openssl rand -hex 32"
            raise ValueError(f"{file}, line {number}: no token, want {wanted}")
        hashes.append(_hash(token))
    if not hashes:
        raise ValueError(f"{file} has no token: nobody could ask")
    return hashes


def _state_of(file: Path) -> tuple[int, ...] | None:
    status = file.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size, status.st_mode


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _refusal(message: str, challenge: str) -> RequestError:
    return RequestError(401, message, headers={"www-authenticate": challenge})
