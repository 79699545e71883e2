"""The registry's orders for canaries in, the catalog's canaries out; verdicts back to the registry.

A withdrawal holds here at once. Where the registry is away its tag is written later: what the cache
remembers of it outlives this process.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping

import msgspec

from services.serving.challenger.canary import (
    ORDER,
    PASSED,
    WITHDRAWN,
    Canary,
    Order,
    Verdict,
    read_order,
    read_verdict,
)
from services.serving.metrics import Metrics
from services.serving.predictor import VersionRef
from services.serving.versions.cache import Cache
from services.serving.versions.catalog import Catalog
from services.serving.versions.registry import Registry, RegistryAwayError

_FILE = "canaries.json"
_log = logging.getLogger(__name__)


class _Kept(msgspec.Struct):
    ref: VersionRef
    order: Order
    withdrawn: str


class Canaries:
    """Keeps the catalog's canaries at what the registry orders."""

    def __init__(
        self,
        registry: Registry,
        cache: Cache,
        catalog: Catalog,
        metrics: Metrics,
        changed: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._cache = cache
        self._catalog = catalog
        self._metrics = metrics
        self._changed = changed
        self._kept = b"{}"
        self._unreadable: dict[VersionRef, str] = {}

    def restore(self) -> None:
        """Go on with the canaries that the cache remembers."""
        try:
            self._kept = self._cache.read(_FILE)
            kept = msgspec.json.decode(self._kept, type=dict[str, _Kept])
        except (OSError, ValueError) as error:
            message = "the cache's canaries cannot be read, challengers stay in the shadow"
            _log.error(message, extra={"error": str(error)})
            return
        for each in kept.values():
            canary = self._begin(each.ref, each.order)
            if each.withdrawn:
                canary.withdraw(each.withdrawn)

    async def follow(self) -> None:
        """Look once at the tags of every challenger that is loaded beside a champion."""
        challengers = self._challengers()
        for model in self._catalog.canaries.keys() - challengers.keys():
            self._end(model)
        for ref in challengers.values():
            try:
                await self._follow(ref, await self._registry.tags(ref))
            except RegistryAwayError as error:
                _log.warning("a canary's order cannot be had", extra={"error": str(error)})
        await self.remember()

    async def remember(self) -> None:
        """Bring the cache to what holds here; where its disk is full, try again next time."""
        canaries = self._catalog.canaries.items()
        now = msgspec.json.encode({n: _Kept(c.ref, c.order, c.withdrawn) for n, c in canaries})
        if now == self._kept:
            return
        try:
            await asyncio.to_thread(self._cache.write, _FILE, now)
        except OSError as error:
            _log.error("the cache cannot be written", extra={"error": str(error)})
        else:
            self._kept = now

    def _challengers(self) -> Mapping[str, VersionRef]:
        return {
            model: refs["challenger"]
            for model, refs in self._catalog.refs().items()
            if "challenger" in refs and refs["challenger"] != refs.get("champion")
        }

    async def _follow(self, ref: VersionRef, tags: Mapping[str, str]) -> None:
        try:
            order = read_order(tags)
            said = order and read_verdict(tags, WITHDRAWN, order.started)
            passed = order and read_verdict(tags, PASSED, order.started)
        except ValueError as error:
            self._refuse(ref, tags.get(ORDER, ""), error)
            return
        if order is None:
            self._end(ref.model)
            return
        canary = self._canary(ref, order)
        if said and not canary.withdrawn:
            canary.withdraw(said.reason)
        elif canary.withdrawn and not said:
            await self._say(canary, WITHDRAWN, canary.withdrawn)
        if canary.passed and not passed and not canary.withdrawn:
            await self._say(canary, PASSED, f"no worse after {canary.passed} requests")

    def _canary(self, ref: VersionRef, order: Order) -> Canary:
        canary = self._catalog.canaries.get(ref.model)
        if canary and (canary.ref, canary.order.started) == (ref, order.started):
            return canary if canary.order == order else canary.follow(order)
        self._end(ref.model)
        return self._begin(ref, order)

    def _begin(self, ref: VersionRef, order: Order) -> Canary:
        canary = Canary(ref, order, self._metrics, self._changed)
        self._catalog.canaries[ref.model] = canary
        about = {"model": ref.model, "version": ref.version, "share": order.share}
        _log.info("a canary begins", extra=about)
        return canary

    def _end(self, model: str) -> None:
        if canary := self._catalog.canaries.pop(model, None):
            canary.forget()
            about = {"model": model, "version": canary.ref.version}
            _log.info("a canary ends", extra=about)

    def _refuse(self, ref: VersionRef, text: str, error: ValueError) -> None:
        """What cannot be read gives nobody traffic; said once."""
        self._end(ref.model)
        if self._unreadable.get(ref) != text:
            self._unreadable[ref] = text
            about = {"model": ref.model, "version": ref.version, "error": str(error)}
            _log.error("a canary's tags cannot be read, it stays in the shadow", extra=about)

    async def _say(self, canary: Canary, name: str, reason: str) -> None:
        verdict = msgspec.json.encode(Verdict(canary.order.started, reason)).decode()
        await self._registry.tag(canary.ref, name, verdict)
