"""`/go/...`: addresses that dashboards can know beforehand in, redirects to the newest one out.

Every redirect goes to an address from the settings; what is read elsewhere is a path there at most.
"""

import re
from typing import Any
from urllib.parse import urlsplit

import httpx
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from monitoring.results import read_run
from services.page.addresses import MLFLOW_MODE
from services.page.pages import trouble
from services.page.parts import Parts, parts_of

_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_ASK_SECONDS = 10.0


def report(request: Request) -> Response:
    """Lead to the newest Evidently report of a model."""
    parts, model = parts_of(request), request.path_params["model"]
    if not _MODEL.fullmatch(model):
        return trouble(request, 404, "No such model", f"{model} is not a model's name.")
    try:
        url = read_run(parts.settings.checks / f"{model}.json").report_url
    except FileNotFoundError:
        return trouble(request, 404, "No report yet", f"The monitor of {model} has not run yet.")
    except (OSError, ValueError):
        message = f"The newest results of {model} cannot be read; the next run replaces them."
        return trouble(request, 503, "No report", message)
    if url is None:
        message = f"The newest run of {model}'s monitor has no report (yet)."
        return trouble(request, 404, "No report yet", message)
    where = urlsplit(url)
    fragment = f"#{where.fragment}" if where.fragment else ""
    return RedirectResponse(f"{parts.settings.evidently_link}/{where.path.lstrip('/')}{fragment}")


async def run(request: Request) -> Response:
    """Lead to the MLflow run that trained a model version."""
    parts = parts_of(request)
    model, version = request.path_params["model"], request.path_params["version"]
    if not _MODEL.fullmatch(model) or not version.isdecimal():
        return trouble(request, 404, "No such version", f"{model} {version} is no model version.")
    try:
        found = await _ask(parts, "model-versions/get", name=model, version=version)
        run_id = str(found["model_version"]["run_id"])
        about = await _ask(parts, "runs/get", run_id=run_id)
        experiment = str(about["run"]["info"]["experiment_id"])
    except httpx.HTTPStatusError as error:
        if error.response.status_code == httpx.codes.NOT_FOUND:
            message = f"MLflow knows no version {version} of {model}."
            return trouble(request, 404, "No such version", message)
        return trouble(request, 502, "MLflow did not say", f"It answers: {error}")
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        message = f"MLflow at {parts.settings.mlflow_url} does not answer as expected: {error}"
        return trouble(request, 502, "MLflow did not say", message)
    if not _ID.fullmatch(run_id) or not _ID.fullmatch(experiment):
        return trouble(request, 404, "No run", f"Version {version} of {model} names no run.")
    return RedirectResponse(
        f"{parts.settings.mlflow_link}/#/experiments/{experiment}/runs/{run_id}{MLFLOW_MODE}"
    )


async def _ask(parts: Parts, what: str, **parameters: str) -> Any:
    """Ask MLflow's REST API: https://mlflow.org/docs/latest/api_reference/rest-api.html."""
    url = f"{parts.settings.mlflow_url}/api/2.0/mlflow/{what}"
    answer = await parts.client.get(
        url, params=parameters, timeout=_ASK_SECONDS, auth=parts.mlflow_login
    )
    return answer.raise_for_status().json()
