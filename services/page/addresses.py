"""Settings in, the platform's user interfaces and what each is for out."""

from dataclasses import dataclass

from services.page.settings import PageSettings


@dataclass(frozen=True)
class Address:
    """A place to go to."""

    name: str
    url: str
    purpose: str


def addresses(settings: PageSettings) -> list[Address]:
    """List where a person finds what."""
    listed = [
        Address("Airflow", settings.airflow_url, "what runs when: DAGs, their tasks and logs"),
        Address("MLflow", settings.mlflow_url, "trainings, their curves, and the model registry"),
        Address("Serving", settings.serving_url + "/openapi.json", "who answers: its API"),
        Address("TensorBoard", settings.tensorboard_url, "trainings side by side, as they run"),
        Address("Evidently", settings.evidently_url, "reports: reference and window side by side"),
        Address("Prometheus", settings.prometheus_url, "every number; questions in PromQL"),
        Address("Alertmanager", settings.alertmanager_url, "who is told of what; silences"),
    ]
    if settings.grafana_url:
        listed.append(Address("Grafana", settings.grafana_url, "the same dashboards, and your own"))
    return listed
