"""Servers in; their runs in turn, A B C A B C, so that no drift of the machine favours one, out."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.load.contenders import BARE, OURS, Contender
from tests.load.figures import TENSOR, Row
from tests.load.measuring import Measuring
from tests.load.processes import BenchError

SWAP_LOAD = 0.5  # of what ours answers at most: a server has room for its work, and waits show


class Rounds:
    """All servers again and again. A peer that fails is left out, and `not_run` says why."""

    def __init__(self, measuring: Measuring, servers: Sequence[Contender]) -> None:
        self._measuring = measuring
        self.not_run = {}
        for server in servers:
            if why := measuring.lacks(server):
                self.not_run[server.name] = why
        self._servers = [server for server in servers if server.name not in self.not_run]

    def run(self, rounds: int) -> None:
        """Run closed loops; then open ones, at the rates that the closed ones gave.

        Raises BenchError where ours or the bare server fails.
        """
        if BARE in self._servers:
            self._measuring.prepare_bare()
        numbers = range(1, rounds + 1)
        for number in numbers:
            for server in self._left():
                with self._tried(server):
                    self._measuring.closed(server, number)
        if OURS in self._servers:
            for number in numbers:
                self._open(number)
            rate = self._reached(OURS).per_second * SWAP_LOAD
            for number in numbers:
                self._measuring.swaps(number, rate)

    def _open(self, number: int) -> None:
        peers = [server for server in self._left() if server not in (OURS, BARE)]
        rates = {peer.name: self._reached(peer).per_second for peer in peers}
        if rates:
            self._measuring.open(OURS, number, list(rates.values()))
        for peer in peers:
            with self._tried(peer):
                self._measuring.open(peer, number, [rates[peer.name]])

    def _left(self) -> list[Contender]:
        return [server for server in self._servers if server.name not in self.not_run]

    def _reached(self, server: Contender) -> Row:
        row = self._measuring.so_far().row("closed", server.name, TENSOR)
        assert row is not None, f"{server.name} has had its closed runs"
        return row

    @contextmanager
    def _tried(self, server: Contender) -> Iterator[None]:
        try:
            yield
        except BenchError as error:
            if server in (OURS, BARE):
                raise BenchError(f"{server.name}: {error}") from error
            self.not_run[server.name] = str(error)
            self._measuring.tell(f"left out: {server.name}: {str(error).partition('. ')[0]}")
