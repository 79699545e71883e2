"""Serving: rate, errors, duration, by version and role; then what they come from."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.board import REGISTRY, board, shelf
from grafana.panels import (
    ANY_IS_BAD,
    SHARE_OF_LIMIT,
    Panel,
    buckets,
    histogram,
    lines,
    now,
    number,
    query,
    state,
    timeline,
)
from grafana.states import SERVES, SERVING

OF = 'model="$model"'
CHOSEN = 'model="$model",version=~"$version"'
FAILING = "model:relay_serving_failures_per_request:ratio_rate5m"
ALLOWED = '(1 - max(relay:objective_availability_ratio{model="$model"}))'
SLOWEST = "model:relay_serving_request_duration_seconds:p99_rate5m"
LIMIT = 'max(relay:objective_latency_seconds{model="$model"})'


def serving() -> Dashboard:
    """Arrange the page: against the objectives first, then traffic, time, queue, versions."""
    return board(
        "relay-serving",
        "Serving",
        "Are people answered, right and in time? Rate, errors and duration by version and role.",
        shelf(4, (5, _burn()), (5, _p99()), (4, _rate()), (4, _waiting()), (6, _state())),
        shelf(8, (12, _answers()), (12, _errors()), title="Traffic"),
        shelf(8, (12, _duration()), (12, _durations()), title="Duration"),
        shelf(8, (8, _batches()), (8, _queue()), (8, _log()), title="Where the time goes"),
        shelf(7, (10, _versions()), (7, _swaps()), (7, _trials()), title="Versions"),
        shelf(6, (8, _labels()), (8, _codes()), (8, _loaded()), title="Also"),
        served="relay_serving_wanted_version",
        versions="relay_serving_predictions_total",
    )


def _burn() -> Panel:
    return number(
        "Error budget burn",
        "1 spends just what the policy's serve.availability allows; from 14.4 on it pages. Look "
        "below which kind of error it is and whether it began with a version: relay rollback takes "
        "that back.",
        now(f"max({FAILING}{{{OF}}}) / {ALLOWED}"),
        unit="suffix: x",
        steps=((1, "orange"), (14.4, "red")),
        decimals=1,
        empty="no requests",
    )


def _p99() -> Panel:
    return number(
        "99th percentile, of its limit",
        "Above 100 % more than one request in a hundred is slower than the policy allows. Look at "
        "queue and batches: a long queue needs replicas, slow batches a smaller model.",
        now(f"max({SLOWEST}{{{OF}}}) / {LIMIT}"),
        unit="percentunit",
        steps=SHARE_OF_LIMIT,
        decimals=0,
        empty="no requests",
    )


def _rate() -> Panel:
    return number(
        "Requests a second",
        "All protocols. Nothing where there should be something: ask /ready, then look before "
        "serving (balancer, network).",
        now(f"sum(rate(relay_serving_requests_total{{{OF}}}[$__rate_interval]))"),
        unit="reqps",
        decimals=1,
    )


def _waiting() -> Panel:
    return number(
        "Rows waiting",
        "Rows that wait to be computed. Steadily more than a batch or two: more is asked than can "
        "be computed; add replicas, or shed load before 503 does.",
        now(f"sum(relay_serving_waiting_rows{{{OF}}})"),
    )


def _state() -> Panel:
    return state(
        "Champion served",
        "Behind: what the registry wants does not load; the log says why, and the last good one "
        "answers. Nothing: no version is loaded.",
        now(SERVING),
        SERVES,
        link=REGISTRY,
    )


def _answers() -> Panel:
    return lines(
        "Rows answered, by version and role",
        "A swap is one colour giving way to the next without a dip. A dip: look at errors and "
        "swaps.",
        query(
            f"sum by (version, role) "
            f"(rate(relay_serving_predictions_total{{{CHOSEN}}}[$__rate_interval]))",
            "v{{version}} {{role}}",
        ),
        unit="rowsps",
    )


def _errors() -> Panel:
    share = (
        f"sum by (kind) (rate(relay_serving_request_errors_total{{{OF}}}[$__rate_interval]))"
        f" / on () group_left () sum(rate(relay_serving_requests_total{{{OF}}}[$__rate_interval]))"
    )
    return lines(
        "Requests that went wrong, by kind",
        "failed is ours: see the log. unavailable is 503: overload or a log that cannot be "
        "written. refused and client_gone are the clients'. The limit is the policy's objective.",
        query(share, "{{kind}}"),
        query(ALLOWED, "limit"),
        unit="percentunit",
    )


def _duration() -> Panel:
    slow = (
        "histogram_quantile(0.99, sum by (le, version, role) "
        f"(rate(relay_serving_request_duration_seconds_bucket{{{CHOSEN}}}[$__rate_interval])))"
    )
    return lines(
        "99th percentile, by version and role",
        "One version slower than the others: the model itself; all slower: the machine or the log. "
        "A challenger that is slow here fails its canary.",
        query(slow, "v{{version}} {{role}}"),
        query(LIMIT, "limit"),
        unit="s",
    )


def _durations() -> Panel:
    return histogram(
        "All durations",
        "Two bands: two kinds of request, or a stall now and then. A band that climbs: a queue "
        "that grows.",
        buckets(
            f"sum by (le) "
            f"(increase(relay_serving_request_duration_seconds_bucket{{{OF}}}[$__rate_interval]))"
        ),
        unit="s",
    )


def _batches() -> Panel:
    return histogram(
        "Rows computed together",
        "Larger batches under load are as it should be. Always 1 under load: the clients wait for "
        "each other.",
        buckets(
            f"sum by (le) (increase(relay_serving_batch_rows_bucket{{{OF}}}[$__rate_interval]))"
        ),
    )


def _queue() -> Panel:
    return lines(
        "Queue",
        "Requests in flight (the scrape is one) and rows waiting. Both climbing without end: more "
        "comes than goes; add replicas.",
        query("sum(relay_serving_in_flight)", "requests in flight"),
        query(f"sum(relay_serving_waiting_rows{{{OF}}})", "rows waiting"),
    )


def _log() -> Panel:
    write = "rate(relay_serving_prediction_log_write_seconds_bucket[$__rate_interval])"
    return lines(
        "Writing the prediction log",
        "Every answer waits for it. Milliseconds instead of microseconds: a slow or full disk; see "
        "Platform.",
        query(f"histogram_quantile(0.99, sum by (le) ({write}))", "99th percentile"),
        query(f"histogram_quantile(0.5, sum by (le) ({write}))", "median"),
        unit="s",
    )


def _versions() -> Panel:
    return timeline(
        "Wanted and served",
        "The rows of a role should agree within seconds. If they do not, the wanted version does "
        "not load.",
        query(f"max by (role) (relay_serving_wanted_version{{{OF}}} > 0)", "{{role}} wanted"),
        query(f"max by (role) (relay_serving_served_version{{{OF}}} > 0)", "{{role}} served"),
        unit="prefix:v",
    )


def _swaps() -> Panel:
    return number(
        "Swaps and failed loads, since its start",
        "A failed load is a version that never took traffic: serving's log names the reason.",
        now(
            f"sum by (role) (relay_serving_swaps_total{{{OF}}})",
            "{{role}} swaps",
        ),
        now(
            f"sum by (role) (relay_serving_load_failures_total{{{OF}}})",
            "{{role}} failed loads",
        ),
        decimals=0,
    )


def _trials() -> Panel:
    return number(
        "Shadow and canary, since its start",
        "Failures are the challenger's: look at it before you promote it. Dropped: it is too slow "
        "for the traffic. Withdrawn: it was worse than the champion; the tag in MLflow says at "
        "what.",
        now(f"max(relay_serving_canary_share{{{OF}}})", "canary share"),
        now(f"sum(relay_serving_canary_failures_total{{{OF}}})", "canary failures"),
        now(f"sum(relay_serving_canary_withdrawn_total{{{OF}}})", "withdrawn"),
        now(f"sum(relay_serving_shadow_failures_total{{{OF}}})", "shadow failures"),
        now(f"sum(relay_serving_shadow_dropped_total{{{OF}}})", "shadow dropped"),
        empty="no challenger",
    )


def _labels() -> Panel:
    return lines(
        "Labels taken",
        "Unknown: labels for ids of which no prediction is in the log; who sends them has other "
        "ids.",
        query(
            f"sum by (prediction) (rate(relay_serving_labels_total{{{OF}}}[$__rate_interval]))",
            "prediction {{prediction}}",
        ),
        unit="cps",
    )


def _codes() -> Panel:
    return lines(
        "Requests, by protocol and code",
        "Many 4xx from one protocol: a client that was built against another signature; the log "
        "has the fields.",
        query(
            f"sum by (protocol, code) "
            f"(rate(relay_serving_requests_total{{{OF}}}[$__rate_interval]))",
            "{{protocol}} {{code}}",
        ),
        unit="reqps",
    )


def _loaded() -> Panel:
    return number(
        "The log and the registry",
        "Writes that failed were answered with 503: free the disk or mend its permissions. "
        "Registry 0: MLflow is away, promotions and rollbacks do not reach serving.",
        now(
            "sum(increase(relay_serving_prediction_log_failures_total[$__range]))", "failed writes"
        ),
        now("1 - min(relay_serving_registry_up)", "registries away"),
        steps=ANY_IS_BAD,
        decimals=0,
    )
