"""The registry's events in, a watcher that looks at once out."""

from services.serving.http.exchange import Reply, Request
from services.serving.versions.webhook import Webhook


class Events:
    """Takes MLflow's webhook."""

    def __init__(self, webhook: Webhook) -> None:
        self._webhook = webhook

    async def take(self, request: Request) -> Reply:
        """Check the event's signature, and wake the watcher. Raises RequestError (401)."""
        self._webhook.receive(request.headers, request.body)
        return Reply(b'{"accepted":true}', status=202)
