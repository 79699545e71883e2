"""A version's reference in, its predictor out, fetched, checked and warm; nothing of it serves yet.

Loading happens in threads: the event loop goes on answering.
"""

import asyncio
from pathlib import Path

from monitoring.prediction_log import PredictionLog
from services.serving.metrics import Metrics
from services.serving.models.loading import Loaded, load
from services.serving.predictor import Limits, Predictor, VersionRef
from services.serving.versions.cache import Cache
from services.serving.versions.registry import Registry


class Loader:
    """Makes predictors of versions, from the registry or from the cache."""

    def __init__(
        self,
        registry: Registry,
        cache: Cache,
        log: PredictionLog,
        metrics: Metrics,
        limits: Limits,
        unsafe: frozenset[str] = frozenset(),
    ) -> None:
        self._registry = registry
        self._cache = cache
        self._log = log
        self._metrics = metrics
        self._limits = limits
        self._unsafe = unsafe  # names of models that may run code of their own

    async def restore(self, ref: VersionRef) -> Predictor:
        """Load what the cache has. Raises LoadError."""
        return self._predictor(ref, await self._load(ref, self._cache.folder(ref)))

    async def fetch(self, ref: VersionRef) -> Predictor:
        """Download, put in place, load from there: a model may open its files at any answer.

        Raises LoadError, RegistryAwayError, OSError; then nothing of the version is left.
        """
        scratch = await asyncio.to_thread(self._cache.scratch)
        try:
            await self._registry.fetch(ref, scratch / "model")
            await asyncio.to_thread(self._cache.place, scratch, ref)
            try:
                loaded = await self._load(ref, self._cache.folder(ref))
            except BaseException:  # also of a server that stops meanwhile
                await asyncio.to_thread(self._cache.put_back, scratch, ref)
                raise
        finally:
            await asyncio.to_thread(self._cache.drop, scratch)
        return self._predictor(ref, loaded)

    async def _load(self, ref: VersionRef, folder: Path) -> Loaded:
        return await asyncio.to_thread(load, folder, trusted=ref.model in self._unsafe)

    def _predictor(self, ref: VersionRef, loaded: Loaded) -> Predictor:
        return Predictor(ref, loaded, self._log, self._metrics, self._limits)
