"""The registry's aliases in, swaps of the catalog out; what fails to load never takes traffic.

A version is downloaded, loaded and asked its example aside. Only then one reference changes. A
registry that is away changes nothing, and one version or answer that is broken hurts no other.
"""

import asyncio
import logging
import time
from contextlib import suppress

from services.serving.challenger.canaries import Canaries
from services.serving.metrics import Metrics
from services.serving.predictor import VersionRef
from services.serving.versions.backoff import Backoff
from services.serving.versions.cache import Cache
from services.serving.versions.catalog import ALIASES, Alias, Catalog, Refs, about
from services.serving.versions.loader import Loader
from services.serving.versions.registry import Registry, RegistryAwayError

_log = logging.getLogger(__name__)


class Watcher:
    """Keeps the catalog at what the registry's aliases say."""

    def __init__(
        self,
        registry: Registry,
        cache: Cache,
        catalog: Catalog,
        loader: Loader,
        metrics: Metrics,
        *,
        poll_seconds: float = 2.0,
        retry_seconds: float = 60.0,
    ) -> None:
        self._registry = registry
        self._cache = cache
        self._catalog = catalog
        self._loader = loader
        self._metrics = metrics
        self._poll_seconds = poll_seconds
        self._backoff = Backoff(poll_seconds, retry_seconds)
        self._canaries = Canaries(registry, cache, catalog, metrics, self.wake)
        self._woken = asyncio.Event()
        self._wanted: dict[tuple[str, Alias], VersionRef] = {}
        self._loading: dict[
            VersionRef, asyncio.Task[None]
        ] = {}  # one that takes long stops no other
        self._away = ""  # why
        self._remembered: Refs = {}
        self._remembering = asyncio.Lock()

    async def restore(self) -> None:
        """Serve what the cache has, so that a start needs no registry."""
        self._remembered = await asyncio.to_thread(self._cache.served)
        for aliases in self._remembered.values():
            for alias, ref in aliases.items():
                self._wanted[ref.model, alias] = ref
                await self._load(alias, ref, cached=True)
        self._canaries.restore()

    async def watch(self) -> None:
        """Look at the registry again and again, until cancelled."""
        try:
            await self._watch()
        finally:
            for task in self._loading.values():
                task.cancel()

    async def _watch(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self.sync()
            except Exception:  # noqa: BLE001  the boundary: whatever is wrong there, serving goes on
                self._metrics.registry_up.set(0)
                _log.exception("the registry could not be followed")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), self._poll_seconds)

    def wake(self) -> None:
        """Look at once: something has changed. Once more if a look is under way."""
        self._woken.set()

    async def sync(self) -> None:
        """Look once and follow."""
        try:
            wanted = await self._registry.look()
        except RegistryAwayError as error:
            self._seen(error)
            await self._canaries.remember()  # one may have been withdrawn meanwhile
            return
        if self._catalog.models and not wanted.any_model:
            self._seen(RegistryAwayError("it lists no model at all, not even those served here"))
            return
        self._seen(None)
        before = {model for model, _ in self._wanted}
        for model in wanted.refs.keys() | self._catalog.models.keys() | before:
            if model in wanted.refs or wanted.whole:
                for alias in ALIASES:
                    self._follow(model, alias, wanted.refs.get(model, {}).get(alias))
        await self._remember()
        await self._canaries.follow()

    def _follow(self, model: str, alias: Alias, ref: VersionRef | None) -> None:
        current = self._catalog.refs().get(model, {}).get(alias)
        self._metrics.wanted.labels(model, alias).set(_number(ref))
        self._metrics.served.labels(model, alias).set(_number(current))
        place = model, alias
        if ref is None:
            self._wanted.pop(place, None)
            self._backoff.forget(place)
            self._catalog.withdraw(model, alias)
            return
        self._wanted[place] = ref
        if current != ref and (loaded := self._catalog.loaded(ref)):
            self._catalog.switch(alias, loaded)  # a promotion loads nothing again
        elif current != ref and ref not in self._loading and self._backoff.may_try(place, ref):
            self._loading[ref] = asyncio.create_task(self._load(alias, ref))

    async def _load(self, alias: Alias, ref: VersionRef, *, cached: bool = False) -> None:
        place = ref.model, alias
        get = self._loader.restore if cached else self._loader.fetch
        try:
            predictor = self._catalog.loaded(ref) or await get(ref)
        except Exception as error:  # noqa: BLE001  the boundary: many libraries read a stranger's file
            wait = self._backoff.failed(place, ref)
            self._metrics.load_failures.labels(ref.model, alias).inc()
            fields = {**about(ref, alias), "error": _said(error), "next_try_seconds": wait}
            _log.error("a version cannot be loaded, what was served stays", extra=fields)
        else:
            self._backoff.forget(place)
            if self._wanted.get(place) == ref:  # not taken back while it was loaded
                self._catalog.switch(alias, predictor)
                if not cached:  # whence it comes
                    await self._remember()
        finally:
            self._loading.pop(ref, None)
            self.wake()

    async def _remember(self) -> None:
        """Bring the cache to what is served; where its disk is full, try again next time."""
        async with self._remembering:
            if (refs := self._catalog.refs()) == self._remembered:
                return
            tidy = not self._loading
            try:
                await asyncio.to_thread(self._cache.remember, refs, tidy=tidy)
            except OSError as error:
                message = "the cache cannot be written, a restart would serve what was before"
                _log.error(message, extra={"error": str(error)})
            else:
                self._remembered = refs if tidy else {}

    def _seen(self, error: RegistryAwayError | None) -> None:
        self._metrics.registry_up.set(error is None)
        if error is None:
            self._metrics.registry_seen = time.monotonic()
        why = str(error) if error else ""
        if why != self._away:  # said once, and again where the reason is another
            self._away = why
            word = "the registry is away, serving goes on" if why else "the registry is back"
            _log.warning(word, extra={"error": why} if why else {})


def _number(ref: VersionRef | None) -> int:
    return int(ref.version) if ref else 0


def _said(error: Exception) -> str:
    return str(error) or repr(error)
