"""The registry's aliases in, swaps of the catalog out; what fails to load never takes traffic.

A version is downloaded, loaded and asked its example aside. Only then one reference changes. A
registry that is away changes nothing.
"""

import asyncio
import logging
import time
from dataclasses import dataclass

from monitoring.prediction_log import PredictionLog
from services.serving.cache import Cache
from services.serving.catalog import ALIASES, Alias, Catalog
from services.serving.errors import LoadError
from services.serving.loading import Loaded, load
from services.serving.metrics import Metrics
from services.serving.predictor import Limits, Predictor, VersionRef
from services.serving.registry import Registry, RegistryAwayError, Wanted

_log = logging.getLogger(__name__)


@dataclass
class _Failure:
    """A version that did not load: how often, and when it may be tried again."""

    ref: VersionRef
    tries: int = 0
    not_before: float = 0.0


class Watcher:
    """Keeps the catalog at what the registry's aliases say."""

    def __init__(
        self,
        registry: Registry,
        cache: Cache,
        catalog: Catalog,
        log: PredictionLog,
        metrics: Metrics,
        *,
        poll_seconds: float = 2.0,
        retry_seconds: float = 60.0,
        limits: Limits,
    ) -> None:
        self._registry = registry
        self._cache = cache
        self._catalog = catalog
        self._log = log
        self._metrics = metrics
        self._poll_seconds = poll_seconds
        self._retry_seconds = retry_seconds
        self._limits = limits
        self._failures: dict[tuple[str, Alias], _Failure] = {}
        self._away = False
        self._remembered: Wanted = {}

    async def restore(self) -> None:
        """Serve what the cache has, so that a start needs no registry."""
        try:
            cached = self._cache.served()
        except ValueError as error:
            _log.exception("the cache cannot be read", extra={"error": str(error)})
            cached = {}
        self._remembered = cached
        for aliases in cached.values():
            for alias, ref in aliases.items():
                try:
                    model = await asyncio.to_thread(load, self._cache.folder(ref))
                except LoadError as error:
                    self._failed(alias, ref, error)
                else:
                    self._switch(alias, self._predictor(ref, model))

    async def watch(self) -> None:
        """Look at the registry again and again, until cancelled."""
        while True:
            try:
                await self.sync()
            except Exception:  # noqa: BLE001  the boundary: whatever is wrong there, serving goes on
                self._metrics.registry_up.set(0)
                _log.exception("the registry could not be followed")
            await asyncio.sleep(self._poll_seconds)

    async def sync(self) -> None:
        """Look once and follow."""
        try:
            wanted = await self._registry.wanted()
        except RegistryAwayError as error:
            self._seen(error)
            return
        self._seen(None)
        for model in wanted.keys() | self._catalog.models.keys():
            for alias in ALIASES:
                await self._follow(model, alias, wanted.get(model, {}).get(alias))
        self._remember()

    def _remember(self) -> None:
        """Bring the cache to what is served; where its disk is full, try again next time."""
        if (refs := self._refs()) == self._remembered:
            return
        try:
            self._cache.remember(refs)
        except OSError as error:
            message = "the cache cannot be written, a restart would serve what was before"
            _log.error(message, extra={"error": str(error)})
        else:
            self._remembered = refs

    async def _follow(self, model: str, alias: Alias, ref: VersionRef | None) -> None:
        self._metrics.wanted.labels(model, alias).set(_number(ref))
        current = self._catalog.models.get(model, {}).get(alias)
        self._metrics.served.labels(model, alias).set(_number(current.ref if current else None))
        if ref is None:
            self._failures.pop((model, alias), None)
            if current is not None:
                self._withdraw(alias, current)
        elif (current is None or current.ref != ref) and self._may_try(alias, ref):
            await self._load(alias, ref)

    async def _load(self, alias: Alias, ref: VersionRef) -> None:
        try:
            predictor = self._loaded(ref) or await self._fetch(ref)
        except (LoadError, RegistryAwayError, OSError) as error:
            self._failed(alias, ref, error)
        else:
            self._failures.pop((ref.model, alias), None)
            self._switch(alias, predictor)

    def _loaded(self, ref: VersionRef) -> Predictor | None:
        """Find a version that serves under the other alias: a promotion loads nothing again."""
        served = self._catalog.models.get(ref.model, {}).values()
        return next((predictor for predictor in served if predictor.ref == ref), None)

    async def _fetch(self, ref: VersionRef) -> Predictor:
        scratch = self._cache.scratch()
        try:
            await self._registry.fetch(ref, scratch / "model")
            model = await asyncio.to_thread(load, scratch / "model")
            self._cache.keep(scratch / "model", ref)
        finally:
            self._cache.drop(scratch)
        return self._predictor(ref, model)

    def _predictor(self, ref: VersionRef, loaded: Loaded) -> Predictor:
        return Predictor(ref, loaded, self._log, self._metrics, self._limits)

    def _switch(self, alias: Alias, predictor: Predictor) -> None:
        ref = predictor.ref
        served = dict(self._catalog.models.get(ref.model, {}))
        old = served.get(alias)
        served[alias] = predictor
        self._catalog.models[ref.model] = served
        self._metrics.swaps.labels(ref.model, alias).inc()
        self._metrics.served.labels(ref.model, alias).set(_number(ref))
        self._forget(alias, old)
        self._metrics.info.labels(ref.model, ref.version, alias, predictor.model.origin.run_id).set(
            1
        )
        before = old.ref.version if old else None
        _log.info("switched", extra={**_fields(alias, ref), "before": before})

    def _withdraw(self, alias: Alias, predictor: Predictor) -> None:
        ref = predictor.ref
        served = {a: p for a, p in self._catalog.models[ref.model].items() if a != alias}
        if served:
            self._catalog.models[ref.model] = served
        else:
            del self._catalog.models[ref.model]
        self._metrics.served.labels(ref.model, alias).set(0)
        self._forget(alias, predictor)
        _log.info("withdrawn", extra=_fields(alias, ref))

    def _forget(self, alias: Alias, old: Predictor | None) -> None:
        if old:
            ref = old.ref
            self._metrics.info.remove(ref.model, ref.version, alias, old.model.origin.run_id)

    def _may_try(self, alias: Alias, ref: VersionRef) -> bool:
        failure = self._failures.get((ref.model, alias))
        return failure is None or failure.ref != ref or time.monotonic() >= failure.not_before

    def _failed(self, alias: Alias, ref: VersionRef, error: Exception) -> None:
        failure = self._failures.get((ref.model, alias))
        if failure is None or failure.ref != ref:
            failure = self._failures[ref.model, alias] = _Failure(ref)
        wait = min(self._poll_seconds * 2**failure.tries, self._retry_seconds)
        failure.tries += 1
        failure.not_before = time.monotonic() + wait
        self._metrics.load_failures.labels(ref.model, alias).inc()
        fields = {**_fields(alias, ref), "error": str(error), "next_try_seconds": wait}
        _log.error("a version cannot be loaded, what was served stays", extra=fields)

    def _seen(self, error: RegistryAwayError | None) -> None:
        self._metrics.registry_up.set(error is None)
        if error is None:
            self._metrics.registry_seen = time.monotonic()
        if (error is not None) != self._away:
            self._away = not self._away
            word = "the registry is away, serving goes on" if self._away else "the registry is back"
            _log.warning(word, extra={"error": str(error)} if error else {})

    def _refs(self) -> Wanted:
        models = self._catalog.models.items()
        return {model: {alias: p.ref for alias, p in served.items()} for model, served in models}


def _number(ref: VersionRef | None) -> int:
    return int(ref.version) if ref else 0


def _fields(alias: Alias, ref: VersionRef) -> dict[str, str]:
    return {"model": ref.model, "version": ref.version, "role": alias}
