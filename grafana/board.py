"""Rows of panels in, a whole dashboard out: its variables, links, annotations, and where all stand.

`read-only`, tagged `generated`; panels have ids in the order in which they stand.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DashboardLink,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableHide,
    VariableRefresh,
    VariableSort,
)

from grafana.panels import PROMETHEUS, Panel, outward

UIS = {
    "page": "Page",
    "airflow": "Airflow",
    "mlflow": "MLflow",
    "evidently": "Evidently",
    "prometheus": "Prometheus",
    "alertmanager": "Alertmanager",
}
TAG = "relay"
# in the mode of MLflow's menu that has the registry
REGISTRY = ("MLflow", "${mlflow}/#/models/$model?workflowType=machine_learning")
CREATED = 'relay_model_version_created_timestamp_seconds{model="$model",alias="champion"}'
# What is champion now and was not in the ten minutes before: the minute in which it became one.
NEW_CHAMPION = f"{CREATED} unless on (version) last_over_time({CREATED}[10m] offset 1m)"
# The models of a policy, those that have a champion first: a dashboard opens on the first of them.
OF_POLICY = "group by (model) (relay:monitor_period_seconds)"
MODELS = f"sort_desc({OF_POLICY} and on (model) model:relay_champion:exists or {OF_POLICY} * 0)"


@dataclass(frozen=True)
class Shelf:
    """Panels beside each other, each with its width of 24; a title begins a section."""

    height: int
    panels: Sequence[tuple[int, Panel]]
    title: str = ""


def shelf(height: int, *panels: tuple[int, Panel], title: str = "") -> Shelf:
    """Put panels beside each other; ValueError where they are not as wide as the page."""
    if (width := sum(width for width, _ in panels)) != 24:
        raise ValueError(f"the shelf {title!r} is {width} wide, the page 24")
    return Shelf(height, panels, title)


def board(
    uid: str,
    title: str,
    about: str,
    *shelves: Shelf,
    served: str = "",
    versions: str = "",
    model_free: bool = False,
    refresh: str = "10s",
    span: str = "now-1h",
) -> model.Dashboard:
    """Arrange a dashboard of one of the policies' models.

    `served` and `versions` are series whose models, or versions, are chosen from instead.
    """
    made = Dashboard(title).uid(uid).description(about).tags(["generated", TAG]).readonly()
    made = made.time(span, "now").refresh(refresh).timezone("browser")
    made = made.tooltip(DashboardCursorSync.CROSSHAIR)
    if not model_free:
        made = made.with_variable(_models(served))
        made = made.annotation(_Champions())
    if versions:
        chosen = _variable("version", f'label_values({versions}{{model="$model"}}, version)')
        chosen = chosen.multi(True).include_all(True).all_value(".*")
        made = made.with_variable(chosen.current(model.VariableOption(text="All", value="$__all")))
    for name in UIS:
        address = f'label_values(relay_address_info{{name="{name}"}}, url)'
        made = made.with_variable(_variable(name, address).hide(VariableHide.HIDE_VARIABLE))
    return _placed(made.links(_links()), shelves)


def _placed(made: Dashboard, shelves: Sequence[Shelf]) -> model.Dashboard:
    for each in shelves:
        if each.title:
            made = made.with_row(Row(each.title))
        for width, panel in each.panels:
            made = made.with_panel(panel.span(width).height(each.height))
    built = made.build()
    for number, placed in enumerate(built.panels or [], start=1):
        placed.id_val = number
    return built


def _models(served: str) -> QueryVariable:
    if served:
        return _variable("model", f"label_values({served}, model)")
    variable = _variable("model", f"query_result({MODELS})").regex('/model="([^"]+)"/')
    return variable.sort(VariableSort.DISABLED)


def _variable(name: str, query: str) -> QueryVariable:
    variable = QueryVariable(name).query({"query": query, "refId": name}).datasource(PROMETHEUS)
    variable = variable.sort(VariableSort.NATURAL_ASC)
    return variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)


def _links() -> list[Builder[model.DashboardLink]]:
    others = DashboardLink("Dashboards").type(DashboardLinkType.DASHBOARDS).tags([TAG])
    uis = [outward(title, f"${{{name}}}").target_blank(True) for name, title in UIS.items()]
    return [others.as_dropdown(True).include_vars(True).keep_time(True), *uis]


class _Told(model.AnnotationQuery):
    """An annotation with words; the SDK's has none, Prometheus' data source reads them here."""

    def to_json(self) -> dict[str, object]:
        """Give Grafana's JSON."""
        return super().to_json() | {"titleFormat": "Version {{version}} is champion", "step": "15s"}


class _Champions(Builder[model.AnnotationQuery]):
    """When a version became champion."""

    def build(self) -> model.AnnotationQuery:
        """Give the annotation's query."""
        return _Told(
            name="New champion", datasource=PROMETHEUS, icon_color="purple", expr=NEW_CHAMPION
        )
