"""Is it alive, is it ready: for balancers and supervisors, in the words of each protocol."""

from services.serving.errors import RequestError
from services.serving.http.exchange import Reply, Request
from services.serving.versions.catalog import Catalog


class Health:
    """Ready means that a model answers and that the process is not on its way out."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.leaving = False

    async def live(self, request: Request) -> Reply:
        """Say that the process runs."""
        return Reply(b'{"live":true}')

    async def ready(self, request: Request) -> Reply:
        """Say that a model is served. Raises RequestError (503)."""
        self.want_ready()
        return Reply(b'{"ready":true}')

    async def ping(self, request: Request) -> Reply:
        """Say it as MLflow does: an empty line."""
        self.want_ready()
        return Reply(b"\n")

    def want_ready(self) -> None:
        """Raise RequestError (503) unless a request would be answered."""
        if self.leaving:
            raise RequestError(503, "this server is stopping: ask another one", retry_after=1)
        self._catalog.want_ready()
