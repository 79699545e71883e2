"""What every protocol does with a checked query: have it answered, timed and shadowed."""

from typing import Any

from services.serving import answering
from services.serving.answering import Answer
from services.serving.challenger.shadow import Shadow
from services.serving.errors import RequestError, shown
from services.serving.http.exchange import JSON, Headers, Protocol, Reply, Request
from services.serving.metrics import Metrics
from services.serving.protocols import open_inference
from services.serving.queries import Query
from services.serving.versions.catalog import Catalog, Target


class Asking:
    """The way to the models."""

    def __init__(self, catalog: Catalog, shadow: Shadow, metrics: Metrics) -> None:
        self.catalog = catalog
        self._shadow = shadow
        self._metrics = metrics

    def find(self, request: Request, name: str, version: str | None = None) -> Target:
        """Find who answers, which the request's model is named after. Raises RequestError (404)."""
        target = self.catalog.find(name, version)
        request.model = name
        return target

    async def ask(self, request: Request, target: Target, query: Query) -> Answer:
        """Give the outputs, which are in the prediction log, and who gave them.

        Raises RequestError.
        """
        if query.wanted_outputs:
            _check_outputs(query.wanted_outputs, target)
        if target.canary and not query.key:
            query.key = request.headers.get("x-relay-key", "")
        return await answering.answer(target, query, self._metrics)

    def describe(self, model: str, version: str | None = None) -> dict[str, Any]:
        """Describe the version that would be asked. Raises RequestError (404)."""
        asked = self.catalog.find(model, version).predictor
        versions = {each.ref.version for each in self.catalog.served(model).values()}
        return open_inference.describe_model(model, asked.ref.version, versions, asked.model)

    def reply(
        self, body: bytes, by: Target, query: Query, protocol: Protocol, headers: Headers = JSON
    ) -> Reply:
        """Wrap an answer: the id it goes by, and what its seconds and its shadow are counted as."""
        ref, shadow = by.predictor.ref, by.shadow
        return Reply(
            body,
            ref.model,
            headers=(*headers, ("x-request-id", query.id)),
            timer=self._metrics.timer(protocol, ref.model, ref.version, by.role),
            afterwards=(lambda: self._shadow.offer(shadow, query)) if shadow else None,
        )


def _check_outputs(wanted: tuple[str, ...], target: Target) -> None:
    names = [output.name for output in target.predictor.model.outputs]
    for name in wanted:
        if name not in names:
            message = f"output {shown(name)} is not given, want some of {names}"
            raise RequestError(400, message, name)
