"""What the front page asks Prometheus, by name, and the answers, easy to look up."""

from dataclasses import dataclass

from services.page.prometheus import Sample

EXPRESSIONS = {
    "watched": "max by (model) (relay:monitor_period_seconds)",
    "dataset_version": "max by (dataset) (relay_dataset_version)",
    "dataset_age": "time() - max by (dataset) (relay_dataset_created_timestamp_seconds)",
    "dataset_rows": "max by (dataset) (relay_dataset_rows)",
    "quarantined": "max by (model) (relay_quarantined_batches)",
    "training_age": "time() - max by (model) (relay_training_last_run_timestamp_seconds)",
    "training_seconds": "max by (model) (relay_training_last_run_duration_seconds)",
    "version": "max by (model, alias) (relay_model_version)",
    "gate": "max by (model, alias) (relay_model_gate_passed)",
    "served": 'min by (model) (relay_serving_served_version{role="champion"})',
    "wanted": 'max by (model) (relay_serving_wanted_version{role="champion"})',
    "requests": "sum by (model) (rate(relay_serving_requests_total[1m]))",
    "refused": 'sum by (model) (rate(relay_serving_requests_total{code=~"5.."}[1m]))',
    "monitor_age": "time() - max by (model) (relay_monitor_last_run_timestamp_seconds)",
    "checks": "sum by (model, verdict) (relay_check_verdict)",
    "checks_readable": "min by (model) (relay_checks_up)",
    "retrain_requested": "max by (model) (relay_retrain_requested)",
    "budget": "min by (model) (relay_retrain_budget_left)",
    "dag": "relay_dag_last_run_state == 1",
    "paused": "relay_dag_paused == 1",
    "target_down": "up == 0",
    "source_down": "relay_exporter_source_up == 0",
    "source_up": "relay_exporter_source_up == 1",
}
_MODEL_IN = ("watched", "checks_readable")  # what a model's label is known from
_BEGUN = {"dataset_version": "dataset", "version": "model", "checks_readable": "model"}
_SOURCES_OF_BEGUN = {"data_registry", "mlflow", "checks"}


@dataclass(frozen=True)
class Facts:
    """The answers, by the names in `EXPRESSIONS`."""

    answers: dict[str, list[Sample]]

    def number(self, name: str, **labels: str) -> float | None:
        """Give the value of the first series that has these labels; None if nobody says."""
        for sample in self.answers[name]:
            if labels.items() <= sample.labels.items():
                return sample.value
        return None

    def labels(self, name: str, label: str) -> list[str]:
        """Give a label's values over all series, sorted, once each."""
        return sorted({sample.labels.get(label, "") for sample in self.answers[name]})

    def models(self) -> list[str]:
        """Name the models that go round: of a policy, or with checks that nobody has retired.

        What only the registry or serving know does not: a companion, a model that was let go of.
        """
        return sorted({model for name in _MODEL_IN for model in self.labels(name, "model")})

    def started(self, model: str) -> bool:
        """Say whether a model has been begun with: data, a version, checks, or a run that failed.

        It counts as begun with, too, where what would say so cannot be read.
        """
        unread = not set(self.labels("source_up", "source")) >= _SOURCES_OF_BEGUN
        begun = any(model in self.labels(name, label) for name, label in _BEGUN.items())
        steps = ("ingest", "train", "monitor")
        failed = any(self.dag_state(model, step) == "failed" for step in steps)
        return unread or begun or failed or bool(self.number("quarantined", model=model))

    def dag_state(self, model: str, step: str) -> str:
        """Give the state of the newest run of a model's DAG; "" if nobody says."""
        return next(iter(self._states(f"{model}_{step}")), "")

    def dag_paused(self, model: str, step: str) -> bool:
        """Say whether a model's DAG is paused."""
        return self.number("paused", dag=f"{model}_{step}") is not None

    def _states(self, dag: str) -> list[str]:
        of_dag = [sample for sample in self.answers["dag"] if sample.labels.get("dag") == dag]
        return [sample.labels.get("state", "") for sample in of_dag]
