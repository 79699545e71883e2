"""Airflow's public REST API, as far as a person would click: trigger, watch, read the log.

https://airflow.apache.org/docs/apache-airflow/stable/stable-rest-api-ref.html
"""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx

ENDED = {"success", "failed"}


class AirflowError(RuntimeError):
    """Airflow refused, or a run did not end as it should; the text holds what its log says."""


class AirflowApi:
    """A logged-in caller."""

    def __init__(self, url: str, login: str, password: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=30, trust_env=False)
        answer = self.client.post("/auth/token", json={"username": login, "password": password})
        answer.raise_for_status()
        self.client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def knows(self, dag: str) -> bool:
        """Say whether a DAG's file has been read; it takes seconds after the first start."""
        return self.client.get(f"/api/v2/dags/{dag}").is_success

    def import_errors(self) -> list[str]:
        """List what is wrong with the DAG files, each with its file's name."""
        found = self._ask("GET", "/importErrors")["import_errors"]
        return [f"{each['filename']}: {each['stack_trace']}" for each in found]

    def trigger(self, dag: str, conf: dict[str, Any] | None = None) -> str:
        """Start a run, as the UI's button does, and give its id."""
        body = {"logical_date": None, "conf": conf or {}}
        return str(self._ask("POST", f"/dags/{dag}/dagRuns", json=body)["dag_run_id"])

    def runs(self, dag: str) -> list[dict[str, Any]]:
        """List a DAG's runs, newest first."""
        query = {"order_by": "-run_after", "limit": 100}
        runs: list[dict[str, Any]] = self._ask("GET", f"/dags/{dag}/dagRuns", params=query)[
            "dag_runs"
        ]
        return runs

    def begun_since(self, dag: str, when: str) -> list[dict[str, Any]]:
        """List the runs that have begun after a time (ISO 8601), newest first.

        So a run that follows an event is told by its time: of several events that come at once
        Airflow may make one run, and name the first alone as its cause.
        """
        since = datetime.fromisoformat(when)

        def later(run: dict[str, Any]) -> bool:
            return bool(run["start_date"]) and datetime.fromisoformat(run["start_date"]) > since

        return list(filter(later, self.runs(dag)))

    def events(self, dag: str, run: str) -> list[dict[str, Any]]:
        """List the asset events that triggered a run, with what they carry; none for a click."""
        path = f"/dags/{dag}/dagRuns/{run}/upstreamAssetEvents"
        events: list[dict[str, Any]] = self._ask("GET", path)["asset_events"]
        return events

    def form(self, dag: str) -> dict[str, dict[str, Any]]:
        """Give the JSON schema of each field in the form with which a person triggers a DAG."""
        params = self._ask("GET", f"/dags/{dag}/details")["params"]
        return {name: param["schema"] for name, param in params.items()}

    def tasks(self, dag: str, run: str) -> dict[str, dict[str, Any]]:
        """Give a run's task instances by task id."""
        found = self._ask("GET", f"/dags/{dag}/dagRuns/{run}/taskInstances")["task_instances"]
        return {task["task_id"]: task for task in found}

    def result(self, dag: str, run: str, task: str) -> dict[str, Any]:
        """Give what a task returned."""
        path = f"/dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value"
        value: dict[str, Any] = self._ask("GET", path, params={"deserialize": "true"})["value"]
        return value

    def log(self, dag: str, run: str, task: str) -> str:
        """Give the log of a task's last try."""
        number = self.tasks(dag, run)[task]["try_number"]
        path = f"/dags/{dag}/dagRuns/{run}/taskInstances/{task}/logs/{number}"
        content = self._ask("GET", path)["content"]
        return "\n".join(str(line.get("event", line)) for line in content if line)

    def last_words(self, dag: str, run: str, task: str) -> str:
        """Give the sentence with which a step ended, as one that had nothing to do, or refused."""
        lines = self.log(dag, run, task).splitlines()
        ends = [i for i, line in enumerate(lines) if line.startswith("Command exited")]
        return lines[ends[-1] - 1] if ends and ends[-1] else "see its log"

    def await_run(
        self,
        dag: str,
        run: str,
        told: Callable[[str, str], None] = lambda task, state: None,
        seconds: float = 600,
    ) -> dict[str, dict[str, Any]]:
        """Wait until a run has ended; give its tasks. ``told`` hears of each task's new state."""
        known: dict[str, str] = {}
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = self._ask("GET", f"/dags/{dag}/dagRuns/{run}")["state"]
            tasks = self.tasks(dag, run)
            for name, task in tasks.items():
                if task["state"] and known.get(name) != task["state"]:
                    known[name] = task["state"]
                    told(name, task["state"])
            if state in ENDED:
                return tasks
            time.sleep(0.5)
        raise AirflowError(f"{dag} {run} has not ended after {seconds:.0f} s: {known}")

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        answer = self.client.request(method, f"/api/v2{path}", **options)
        if answer.is_error:
            raise AirflowError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json()
