"""What is served right now: a model's name in, the predictor of a version of it out."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from monitoring.prediction_log import Role
from services.serving.errors import RequestError
from services.serving.predictor import Predictor

Alias = Literal["champion", "challenger"]
ALIASES: tuple[Alias, ...] = ("champion", "challenger")
_NONE = "no model is served yet: register one with the alias champion"
Served = Mapping[Alias, Predictor]


class Target(NamedTuple):
    """Who answers, as what; `shadow` answers too, afterwards and unseen."""

    predictor: Predictor
    role: Role
    shadow: Predictor | None = None


class Catalog:
    """All models. A swap replaces one reference; who holds the old predictor finishes with it."""

    def __init__(self) -> None:
        self.models: dict[str, Served] = {}

    def served(self, name: str) -> Served:
        """All versions of a model that has a champion."""
        served = self.models.get(name, {})
        if "champion" not in served:
            known = [name for name, served in self.models.items() if "champion" in served]
            message = f"model {name!r} is not served, these are: {known}"
            raise RequestError(404, message)
        return served

    def find(self, name: str, version: str | None = None) -> Target:
        """Give the champion, or the version that was asked for. Raises RequestError (404)."""
        served = self.served(name)
        if version is None:
            champion, shadow = served["champion"], served.get("challenger")
            alone = shadow is None or shadow.ref == champion.ref
            return Target(champion, "champion", None if alone else shadow)
        for alias, predictor in served.items():
            if predictor.ref.version == version:
                return Target(predictor, alias)
        versions = sorted({predictor.ref.version for predictor in served.values()})
        message = f"model {name!r} has no version {version!r} here, these are served: {versions}"
        raise RequestError(404, message)

    def any(self) -> None:
        """Raise RequestError (503) unless a model is served."""
        if not any("champion" in served for served in self.models.values()):
            raise RequestError(503, _NONE)

    def only(self) -> str:
        """Name the one model there is, for protocols whose address names none."""
        names = [name for name, served in self.models.items() if "champion" in served]
        if len(names) == 1:
            return names[0]
        if not names:
            raise RequestError(503, _NONE)
        raise RequestError(400, f"several models are served, want ?model= one of {sorted(names)}")
