"""The watcher and a registry whose models come and go, some of which never load."""

import asyncio
from pathlib import Path
from typing import Any

from services.serving.errors import LoadError
from services.serving.metrics import Metrics
from services.serving.predictor import VersionRef
from services.serving.versions.cache import Cache
from services.serving.versions.catalog import Catalog, Refs
from services.serving.versions.registry import Look
from services.serving.versions.watcher import Watcher


class Registry:
    """It says what it is told to say."""

    def __init__(self) -> None:
        self.refs: Refs = {}

    async def look(self) -> Look:
        return Look(self.refs, whole=True)


class BrokenLoader:
    """It loads nothing."""

    async def fetch(self, ref: VersionRef) -> Any:
        raise LoadError("broken")


def test_a_champion_that_never_loaded_is_wanted_until_its_alias_goes(tmp_path: Path) -> None:
    metrics, registry, loader = Metrics(), Registry(), BrokenLoader()
    watcher = Watcher(
        registry,  # type: ignore[arg-type]
        Cache(tmp_path),
        Catalog(metrics),
        loader,  # type: ignore[arg-type]
        metrics,
    )

    def wanted() -> float | None:
        labels = {"model": "flights", "role": "champion"}
        return metrics.registry.get_sample_value("relay_serving_wanted_version", labels)

    async def main() -> None:
        registry.refs = {"flights": {"champion": VersionRef("flights", "1", 0)}}
        await watcher.sync()
        await asyncio.gather(*watcher._loading.values())
        await watcher.sync()
        assert wanted() == 1
        registry.refs = {}
        await watcher.sync()
        assert wanted() == 0

    asyncio.run(main())
