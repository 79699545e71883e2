"""The panels about what a model's answers are worth, which more than one dashboard shows."""

from grafana_foundation_sdk.builders import timeseries

from grafana.panels import Query, lines, query

CHECK = 'model="$model",check="{check}"'


def worth(title: str, check: str, about: str) -> timeseries.Panel:
    """Draw a score (nats of log loss; lower is better) with its interval and the policy's limit."""
    parts = {"score": "score", "threshold": "limit", "score_low": "low", "score_high": "high"}
    targets = [_of(f"relay_check_{metric}", check, name) for metric, name in parts.items()]
    return lines(title, about, *targets, link=("report", "${page}/go/report/$model"))


def live_score() -> timeseries.Panel:
    """Draw what the answers turned out to be worth."""
    return worth(
        "Live log loss",
        "live_score",
        "How wrong the answers were, once labels were there (nats, lower is better; the band is "
        "its interval). Above the limit the model is worth less than always saying the base rate: "
        "the monitor asks for a training by itself; see that one begins and what its gate says.",
    )


def _of(metric: str, check: str, name: str) -> Query:
    return query(f"max({metric}{{{CHECK.format(check=check)}}})", name)
