"""Settings in, the platform's user interfaces and what each is for out."""

from collections.abc import Collection
from dataclasses import dataclass

from services.page.settings import PageSettings

MLFLOW_MODE = "?workflowType=machine_learning"  # another mode of its menu hides the registry


@dataclass(frozen=True)
class Address:
    """A place to go to."""

    name: str
    url: str
    purpose: str


def addresses(settings: PageSettings, reports: Collection[str]) -> list[Address]:
    """List where a person finds what; `reports` are the paths where Evidently lists reports."""
    evidently = settings.evidently_link
    if len(reports) == 1:  # else to its list of projects
        evidently += next(iter(reports))
    listed = [
        Address("Airflow", settings.airflow_link, "what runs when: DAGs, their tasks and logs"),
        Address(
            "MLflow",
            f"{settings.mlflow_link}/#/experiments{MLFLOW_MODE}",
            "trainings, their curves, and the model registry",
        ),
        Address("Serving", settings.serving_link + "/openapi.json", "who answers: its API"),
        Address("Evidently", evidently, "reports: reference and window side by side"),
        Address("TensorBoard", settings.tensorboard_link, "trainings side by side, as they run"),
        Address("Prometheus", settings.prometheus_link, "every number; questions in PromQL"),
        Address("Alertmanager", settings.alertmanager_link, "who is told of what; silences"),
    ]
    if settings.grafana_link:
        listed.append(
            Address("Grafana", settings.grafana_link, "the same dashboards, and your own")
        )
    return listed
