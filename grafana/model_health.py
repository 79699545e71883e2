"""Model health: are the answers still worth something, and if not, which column moved?"""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import states
from grafana.board import board, shelf
from grafana.panels import (
    SHARE_OF_LIMIT,
    Panel,
    bars,
    lines,
    listing,
    now,
    number,
    query,
    rows,
    shades,
    state,
    timeline,
)
from grafana.scores import live_score, worth

OF = 'model="$model",version=~"$version"'
REPORT = ("report", "${page}/go/report/$model")
QUALITY = "missing|out_of_range|new_category|stuck"
OVER_REFERENCE = "missing|stuck"  # their limit: the reference's own share, and what may be added


def model_health() -> Dashboard:
    """Arrange the page: the score, what is beyond its limit, then drift and quality by column."""
    return board(
        "relay-model",
        "Model health",
        "Is the model still worth asking? The live score, drift by column, and what is behind it.",
        shelf(4, (5, _verdict()), (5, _verdicts()), (5, _lag()), (4, _judged()), (5, _until())),
        shelf(9, (12, live_score()), (12, _estimate()), title="What the answers are worth"),
        shelf(11, (14, _drift()), (10, _worst()), title="Which column"),
        shelf(9, (14, _quality()), (10, _beyond())),
        shelf(8, (14, _checks()), (10, _labels()), title="The checks themselves"),
        versions="relay_check_verdict",
    )


def ratio(check: str) -> str:
    """Give a check's score as a share of its limit, by column; 1 is the limit.

    The limits of `OVER_REFERENCE` stand on what the reference has, too: a column that is as it
    always was is near to them for ever. Those count when they alert.
    """
    chosen = f'{OF},check=~"{check}"'
    quiet = f'relay_check_verdict{{{OF},check=~"{OVER_REFERENCE}",verdict!="alert"}} == 1'
    return (
        f"relay_check_score{{{chosen}}} / (relay_check_threshold{{{chosen}}} > 0) "
        f"unless on (version, check, column) {quiet}"
    )


def _verdict() -> Panel:
    return state(
        "Worst verdict",
        "Of the newest checks. Alert: the bars below name the column, the report shows it beside "
        "its reference. Unknown: a check could not run; its reason stands in the report's run.",
        now(states.worst_verdict(OF)),
        states.CHECKS,
        link=REPORT,
    )


def _verdicts() -> Panel:
    return number(
        "Checks, by verdict",
        "How many checks said what. Many unknown at once: too few rows or no labels yet, or the "
        "monitor has a fault.",
        now(f"sum by (verdict) (relay_check_verdict{{{OF}}})", "{{verdict}}"),
    )


def _lag() -> Panel:
    lag, limit = (
        f'max(relay_check_{name}{{{OF},check="label_lag"}})' for name in ("score", "threshold")
    )
    return number(
        "Label lag, of its limit",
        "How far labels are behind the answers. Above 100 %: ask whoever delivers them; until then "
        "only the estimate says what the answers are worth.",
        now(f"{lag} / {limit}"),
        unit="percentunit",
        steps=SHARE_OF_LIMIT,
        decimals=0,
        empty="no labels",
    )


def _judged() -> Panel:
    return number(
        "Rows judged",
        "In the newest window. Below the policy's min_rows every check is unknown: more traffic, "
        "or a longer window.",
        now(f"max(relay_monitor_rows{{{OF}}})"),
    )


def _until() -> Panel:
    return number(
        "Judged up to",
        "Event time of the window's end. It should move with the traffic; if it stands, nobody is "
        "answered, or the monitor does not run.",
        now(f"max(relay_monitor_window_end_timestamp_seconds{{{OF}}}) * 1000"),
        unit="dateTimeAsIso",
    )


def _estimate() -> Panel:
    return worth(
        "Estimated log loss, labels or not",
        "estimated_score",
        "What the answers are probably worth, told from the predictions alone; the band is how far "
        "off it was where labels are. Above the limit while labels are missing: do not wait for "
        "them.",
    )


def _drift() -> Panel:
    return shades(
        "Drift by column",
        "How far a column is from training, or its newest two days from the days before (jump), "
        "the worse of them as a share of its limit: green is like the reference, yellow at the "
        "limit, red twice that. A column that turns at once is a broken feed, one that fades over "
        "weeks is the season.",
        query(f"max by (column) ({ratio('drift|prediction_drift|jump')})", "{{column}}"),
        top=2,
        unit="percentunit",
        link=REPORT,
    )


def _worst() -> Panel:
    worst = f"max by (check, column) ({ratio('.+')})"
    named = f'label_join({worst}, "of", " ", "column", "check")'
    return bars(
        "Nearest to their limits",
        "The ten checks nearest to or beyond their limits, now; missing and stuck only once they "
        "alert. Red ones alert: open the report on that column and ask its source what changed.",
        now(f"sort_desc(topk(10, {named}))", "{{of}}"),
        unit="percentunit",
        steps=SHARE_OF_LIMIT,
        top=1.5,
        link=REPORT,
    )


def _quality() -> Panel:
    return shades(
        "Bad values by column",
        "Out of range or new values, and missing or stuck ones once they alert: the worst of them, "
        "as a share of the limit. Red: the column's source is broken; training on such a month is "
        "refused at ingest.",
        query(f"max by (column) ({ratio(QUALITY)})", "{{column}}"),
        top=2,
        unit="percentunit",
        link=REPORT,
    )


def _beyond() -> Panel:
    bad = f'on (check, column, version) relay_check_verdict{{{OF},verdict="alert"}} == 1'
    return listing(
        "Beyond their limits",
        "What alerts now, with score and limit in the check's own unit. Empty is well.",
        rows(f"max by (check, column, version) (relay_check_score{{{OF}}}) and {bad}"),
        rows(f"max by (check, column, version) (relay_check_threshold{{{OF}}}) and {bad}"),
        columns={
            "check": "check",
            "column": "column",
            "version": "version",
            "Value #A": "score",
            "Value #B": "limit",
        },
        link=REPORT,
    )


def _checks() -> Panel:
    return timeline(
        "Every check, over time",
        "The worst column of each check. A row that is orange for long does not watch anything: "
        "see why it cannot run.",
        query(states.worst_verdict(OF, "by (check) "), "{{check}}"),
        texts=states.CHECKS,
    )


def _labels() -> Panel:
    return lines(
        "Label lag",
        "Event time between the newest answer and the newest labelled one. A line that climbs "
        "steadily is a feed that stopped.",
        query(f"max(relay_label_lag_seconds{{{OF}}})", "lag"),
        query(f'max(relay_check_threshold{{{OF},check="label_lag"}})', "limit"),
        unit="s",
    )
