"""What is served right now: a model's name in, the predictor of a version of it out."""

import logging
from collections.abc import Mapping
from typing import Literal, NamedTuple

from monitoring.prediction_log import Role
from services.serving.challenger.canary import Canary
from services.serving.errors import RequestError, shown
from services.serving.metrics import Metrics
from services.serving.predictor import Predictor, VersionRef

_log = logging.getLogger(__name__)
Alias = Literal["champion", "challenger"]
ALIASES: tuple[Alias, ...] = ("champion", "challenger")
_NONE = "no model is served yet: register one with the alias champion"
Served = Mapping[Alias, Predictor]
Refs = dict[str, dict[Alias, VersionRef]]


class Target(NamedTuple):
    """Who answers, as what; `shadow` answers too, afterwards and unseen.

    Where there is a `canary`, the shadow answers a share of the keys in the champion's place.
    """

    predictor: Predictor
    role: Role
    shadow: Predictor | None = None
    canary: Canary | None = None


class Catalog:
    """All models. A swap replaces one reference; who holds the old predictor finishes with it."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.models: dict[str, Served] = {}
        self.canaries: dict[str, Canary] = {}

    def served(self, name: str) -> Served:
        """All versions of a model that has a champion. Raises RequestError (404)."""
        served = self.models.get(name, {})
        if "champion" not in served:
            known = [name for name, served in self.models.items() if "champion" in served]
            message = f"model {shown(name)} is not served, these are: {known}"
            raise RequestError(404, message)
        return served

    def find(self, name: str, version: str | None = None) -> Target:
        """Give the champion, or the version that was asked for. Raises RequestError (404)."""
        served = self.served(name)
        if version is None:
            return self._champion(name, served)
        for alias, predictor in served.items():
            if predictor.ref.version == version:
                return Target(predictor, alias)
        versions = sorted({predictor.ref.version for predictor in served.values()})
        message = f"model {name!r} has no version {shown(version)} here"
        raise RequestError(404, f"{message}, these are served: {versions}")

    def want_ready(self) -> None:
        """Raise RequestError (503) unless a model is served."""
        if not any("champion" in served for served in self.models.values()):
            raise RequestError(503, _NONE, retry_after=1)

    def only(self) -> str:
        """Name the one model there is, for protocols whose address names none."""
        names = [name for name, served in self.models.items() if "champion" in served]
        if len(names) == 1:
            return names[0]
        if not names:
            raise RequestError(503, _NONE, retry_after=1)
        raise RequestError(400, f"several models are served, want ?model= one of {sorted(names)}")

    def loaded(self, ref: VersionRef) -> Predictor | None:
        """Find a version that serves under any alias: a promotion loads nothing again."""
        served = self.models.get(ref.model, {}).values()
        return next((predictor for predictor in served if predictor.ref == ref), None)

    def refs(self) -> Refs:
        """Say which versions are served, by model and alias."""
        models = self.models.items()
        return {model: {alias: p.ref for alias, p in served.items()} for model, served in models}

    def waiting(self) -> dict[tuple[str, str], int]:
        """Count the rows that wait, by model and version."""
        loaded = (each for served in self.models.values() for each in served.values())
        return {(each.ref.model, each.ref.version): each.waiting_rows for each in loaded}

    def switch(self, alias: Alias, predictor: Predictor) -> None:
        """Let a version answer from the next request on."""
        ref = predictor.ref
        served = self.models.get(ref.model, {})
        self.models[ref.model] = {**served, alias: predictor}
        old = served.get(alias)
        self._metrics.swaps.labels(ref.model, alias).inc()
        self._metrics.served.labels(ref.model, alias).set(int(ref.version))
        self._forget(alias, old)
        run_id = predictor.model.origin.run_id
        self._metrics.info.labels(ref.model, ref.version, alias, run_id).set(1)
        self._metrics.keep(self.waiting().keys())
        before = old.ref.version if old else None
        _log.info("switched", extra={**about(ref, alias), "before": before})

    def withdraw(self, model: str, alias: Alias) -> None:
        """Let the version under an alias answer no longer; nothing where there is none."""
        served = dict(self.models.get(model, {}))
        if (old := served.pop(alias, None)) is None:
            return
        if served:
            self.models[model] = served
        else:
            del self.models[model]
        self._metrics.served.labels(model, alias).set(0)
        self._forget(alias, old)
        self._metrics.keep(self.waiting().keys())
        _log.info("withdrawn", extra=about(old.ref, alias))

    def _champion(self, name: str, served: Served) -> Target:
        champion, challenger = served["champion"], served.get("challenger")
        if challenger is None or challenger.ref == champion.ref:
            return Target(champion, "champion")
        canary = self.canaries.get(name)
        flies = canary is not None and canary.ref == challenger.ref and canary.share > 0
        return Target(champion, "champion", challenger, canary if flies else None)

    def _forget(self, alias: Alias, old: Predictor | None) -> None:
        if old:
            ref = old.ref
            self._metrics.info.remove(ref.model, ref.version, alias, old.model.origin.run_id)


def about(ref: VersionRef, alias: Alias) -> dict[str, str]:
    """Name a version in a log line."""
    return {"model": ref.model, "version": ref.version, "role": alias}
