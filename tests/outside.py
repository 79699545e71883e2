"""A running platform's addresses and logins in, what its public APIs say out.

Asked from outside, as any other program would ask: Airflow, MLflow, serving, Prometheus.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property
from typing import Any

import httpx

from services.embedded.airflow_api import AirflowApi
from tests.programs import wait_for

MODEL = "flights"
ADMIN = "admin"


class Outside:
    """One platform; `url` gives the address of a part by its name."""

    def __init__(
        self,
        url: Callable[[str], str],
        airflow_password: str,
        mlflow_login: tuple[str, str] | None = None,
        label_token: str = "",
    ) -> None:
        self.url = url
        self._bearer = {"Authorization": f"Bearer {label_token}"} if label_token else {}
        self._airflow_password = airflow_password
        self._logins = {"mlflow": mlflow_login}

    @cached_property
    def airflow(self) -> AirflowApi:
        return AirflowApi(self.url("airflow"), ADMIN, self._airflow_password)

    def ask(self, method: str, part: str, path: str, **options: Any) -> httpx.Response:
        login = self._logins.get(part)
        answer = httpx.request(
            method, self.url(part) + path, auth=login, timeout=30, trust_env=False, **options
        )
        return answer.raise_for_status()

    def get(self, part: str, path: str, /, **query: str) -> httpx.Response:
        return self.ask("GET", part, path, params=query)

    # Airflow --------------------------------------------------------------------------------

    def run(self, dag: str, run: str) -> dict[str, Any]:
        return next(r for r in self.airflow.runs(dag) if r["dag_run_id"] == run)

    # MLflow ---------------------------------------------------------------------------------

    def mlflow(self, path: str, /, **query: str) -> Any:
        return self.get("mlflow", f"/api/2.0/mlflow/{path}", **query).json()

    def post_mlflow(self, path: str, body: dict[str, Any]) -> Any:
        return self.ask("POST", "mlflow", f"/api/2.0/mlflow/{path}", json=body).json()

    def version(self, number: str) -> dict[str, Any]:
        """A model version, its tags as a mapping."""
        found = self.mlflow("model-versions/get", name=MODEL, version=number)["model_version"]
        tags = {tag["key"]: tag["value"] for tag in found["tags"]}
        return dict(found) | {"tags": tags}

    def versions(self) -> dict[str, dict[str, Any]]:
        """All model versions by number."""
        query = {"filter": f"name = '{MODEL}'"}
        found = self.mlflow("model-versions/search", **query).get("model_versions", [])
        return {each["version"]: self.version(each["version"]) for each in found}

    def aliases(self) -> dict[str, str]:
        found = self.mlflow("registered-models/get", name=MODEL)["registered_model"]
        return {alias["alias"]: alias["version"] for alias in found.get("aliases", [])}

    # Serving --------------------------------------------------------------------------------

    def infer(self, row: Mapping[Hashable, Any]) -> dict[str, Any]:
        """Ask about a row and its `scheduled_time`; the answer as the protocol has it."""
        told = self.get("serving", f"/v2/models/{MODEL}").json()["inputs"]
        inputs = [
            {"name": name, "shape": [1], "datatype": field["datatype"], "data": [row[name]]}
            for field in told
            if (name := field["name"]) in row
        ]
        when = {"event_time": row["scheduled_time"].isoformat()}
        body = {"parameters": when, "inputs": inputs}
        path = f"/v2/models/{MODEL}/infer"
        answer: dict[str, Any] = self.ask("POST", "serving", path, json=body).json()
        return answer

    def label(self, labels: Sequence[Mapping[str, Any]]) -> None:
        """Tell what became of rows that were asked about."""
        path = f"/v1/models/{MODEL}/labels"
        for start in range(0, len(labels), 1000):
            body = {"labels": labels[start : start + 1000]}
            self.ask("POST", "serving", path, json=body, headers=self._bearer)

    def served(self) -> list[str]:
        """The versions that serving answers with."""
        return list(self.get("serving", f"/v2/models/{MODEL}").json()["versions"])

    def await_served(self, version: str) -> None:
        wait_for(lambda: version in self.served(), f"serving to answer with {version}", 120)

    # Prometheus -----------------------------------------------------------------------------

    def prometheus(self, query: str) -> list[dict[str, Any]]:
        """The series that a query gives now."""
        answer = self.get("prometheus", "/api/v1/query", query=query).json()
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result
