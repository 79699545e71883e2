"""A dashboard's JSON and its variables' values in, its panels' queries for Prometheus out."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

# What Grafana puts in by itself, here for an hour drawn at 15 seconds a step.
BUILT_IN = {
    "__interval": "15s",
    "__rate_interval": "1m",
    "__range": "1h",
}
VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|([A-Za-z_]\w*))")  # not the $1 of label_replace


def queries(dashboard: Mapping[str, Any], variables: Mapping[str, str]) -> list[tuple[str, str]]:
    """Give each panel's title and expression, one for each of its queries, as they stand.

    `variables` are the values of the dashboard's own, for example `{"model": "flights", "version":
    ".*"}`. Raises ValueError for a variable that has no value.
    """
    return [
        (str(panel["title"]), fill(str(target["expr"]), variables))
        for panel in panels(dashboard)
        for target in panel.get("targets", [])
    ]


def panels(dashboard: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Give all panels but rows, those in closed rows too."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", [])
        else:
            yield panel


def fill(text: str, variables: Mapping[str, str]) -> str:
    """Put the variables' values in; ValueError for one that nobody gave."""
    values = BUILT_IN | dict(variables)

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in values:
            raise ValueError(f"no value was given for ${name}, in: {text}")
        return values[name]

    return VARIABLE.sub(value, text)
