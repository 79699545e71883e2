"""A login in; what the exporter wants to know of an Airflow out, by its public REST API.

https://airflow.apache.org/docs/apache-airflow/stable/stable-rest-api-ref.html
"""

from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import httpx

from services.exporter.airflow_answers import (
    AllStats,
    Dag,
    Dags,
    Health,
    ImportErrors,
    Page,
    Run,
    Runs,
    Task,
    Tasks,
    Token,
)
from services.exporter.rest import RestApi, read
from services.exporter.source import SourceAwayError

_T = TypeVar("_T")

PAGE = 100  # the most that Airflow gives at once, unless it is told otherwise
REFUSED = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)  # a token that expired, or is unknown


class AirflowApi:
    """Logs in when it must. Every question raises `SourceAwayError` where it is not answered."""

    def __init__(self, url: str, user: str, password_file: Path | None, seconds: float) -> None:
        self.rest = RestApi(url, seconds)
        self._user = user
        self._password_file = password_file

    def health(self) -> Health:
        """Ask how Airflow is."""
        return self._get("monitor/health", Health)

    def import_errors(self) -> int:
        """Count the DAG files that cannot be read."""
        return self._get("importErrors", ImportErrors, limit=1).total_entries

    def dags(self) -> list[Dag]:
        """List every DAG."""
        return self._all("dags", Dags)

    def newest_run(self, dag: str) -> Run | None:
        """Give the run that was due last."""
        runs = self._get(_runs(dag), Runs, order_by="-run_after", limit=1)
        return next(iter(runs.entries), None)

    def newest_success(self, dag: str) -> Run | None:
        """Give the run that ended well last."""
        runs = self._get(_runs(dag), Runs, order_by="-end_date", limit=1, state="success")
        return next(iter(runs.entries), None)

    def tasks(self, dag: str, run: str) -> list[Task]:
        """List the tasks of a run."""
        return self._all(f"{_runs(dag)}/{quote(run, safe='')}/taskInstances", Tasks)

    def counts(self, dags: list[str]) -> dict[tuple[str, str], int]:
        """Count the runs of DAGs, by DAG and state."""
        found = self._get("dagStats", AllStats, dag_ids=dags).dags
        return {(dag.dag_id, each.state): each.count for dag in found for each in dag.stats}

    def _all(self, path: str, page: type[Page[_T]]) -> list[_T]:
        found: list[_T] = []
        while True:
            next_one = self._get(path, page, limit=PAGE, offset=len(found))
            found += next_one.entries
            if len(found) >= next_one.total_entries or not next_one.entries:
                return found

    def _get(self, path: str, answer: type[_T], **params: str | int | list[str]) -> _T:
        if "authorization" not in self.rest.http.headers:
            self._log_in()
        response = self.rest.send("GET", f"/api/v2/{path}", params=params)
        if response.status_code in REFUSED:
            self._log_in()
            response = self.rest.send("GET", f"/api/v2/{path}", params=params)
        return read(response, answer)

    def _log_in(self) -> None:
        said = {"username": self._user, "password": self._password()}
        response = self.rest.send("POST", "/auth/token", json=said)
        if response.status_code in REFUSED:
            raise SourceAwayError(
                f"Airflow refuses the login {self._user!r}: see RELAY_AIRFLOW_USER and "
                f"RELAY_AIRFLOW_PASSWORD_FILE ({self._password_file})"
            )
        self.rest.http.headers["authorization"] = f"Bearer {read(response, Token).access_token}"

    def _password(self) -> str:
        """Read it at each login, as it may have changed."""
        if self._password_file is None:
            raise SourceAwayError("nobody said how to log in: set RELAY_AIRFLOW_PASSWORD_FILE")
        try:
            return self._password_file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise SourceAwayError(f"RELAY_AIRFLOW_PASSWORD_FILE: {error}") from error


def _runs(dag: str) -> str:
    return f"dags/{quote(dag, safe='')}/dagRuns"
