"""What every endpoint needs, put together once at the start: settings in, `Parts` out."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import httpx
from starlette.requests import Request
from starlette.templating import Jinja2Templates

from services.page.metrics import Metrics
from services.page.prometheus import Prometheus
from services.page.settings import PageSettings
from services.page.trail import Trail
from services.page.words import clock, since

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Parts:
    """The page's parts; `client` is the one HTTP client, closed when the page stops."""

    settings: PageSettings
    metrics: Metrics
    client: httpx.AsyncClient
    mlflow_login: tuple[str, str] | None
    prometheus: Prometheus
    trail: Trail
    templates: Jinja2Templates


def put_together(settings: PageSettings) -> Parts:
    """Make all parts; nothing is asked or written yet."""
    client = httpx.AsyncClient(trust_env=False, follow_redirects=False)
    return Parts(
        settings=settings,
        metrics=Metrics(),
        client=client,
        mlflow_login=settings.mlflow_login(),
        prometheus=Prometheus(
            client,
            settings.prometheus_url,
            settings.page_query_seconds,
            settings.page_max_answer_bytes,
        ),
        trail=Trail(settings.home / "alerts"),
        templates=_templates(),
    )


def _templates() -> Jinja2Templates:
    """Make the templates, which escape what they are given."""
    templates = Jinja2Templates(HERE / "templates")
    templates.env.filters.update(clock=clock, since=since)
    templates.env.globals["now"] = lambda: datetime.now(UTC)
    return templates


def parts_of(request: Request) -> Parts:
    """Give the parts of the page that a request came to."""
    return cast(Parts, request.app.state.parts)
