"""The lap: is the loop turning, and if not, where does it stand? One page, one model."""

from collections.abc import Sequence

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import states
from grafana.alerts import alerts
from grafana.board import CREATED, REGISTRY, board, shelf
from grafana.panels import (
    SHARE_OF_LIMIT,
    Panel,
    now,
    number,
    query,
    state,
    timeline,
)
from grafana.scores import live_score
from grafana.states import (
    BAD,
    GATES,
    LATE,
    NONE,
    OK,
    PAUSED,
    RUNNING,
    SERVED,
    SERVES,
    SERVING,
    WAITING,
)

ITS_ALERTS = 'model=~"$model|"'  # and the platform's, which name no model
GATE = 'relay_model_gate_passed{{model="$model",alias="{alias}"}}'
BUDGET = 'relay_retrain_budget_left{model="$model"}'
# The newest results are young and wait for the decision, as after `relay monitor` by hand.
UNDECIDED = (
    'time() - max(relay_monitor_last_run_timestamp_seconds{model="$model"})'
    ' < 2 * max(relay:monitor_period_seconds{model="$model"})'
)
RETRAIN = "max({}) or ({}) * 0 + {}".format(
    states.first_of(
        (f"{BUDGET} == 0", BAD),
        ('relay_retrain_requested{model="$model"} == 1', PAUSED),
        ('relay_retrain_cooldown_left_seconds{model="$model"} > 0', WAITING),
        (BUDGET, OK),
    ),
    UNDECIDED,
    RUNNING,
)
LEFT = f"min({BUDGET}) or ({UNDECIDED}) * 0 - 1"
REQUESTED = 'max by (version) (relay_retrain_requested{model="$model"}) == 1'
JUDGED = 'max by (version) (relay_monitor_last_run_timestamp_seconds{model="$model"})'
# When the monitor last ran and asked: it says so only until it runs again.
ASKED = f"time() - max(max_over_time(({JUDGED} and {REQUESTED})[1d:15s]))"
TURNING = states.texts(no_champion=NONE, turning=OK, paused=PAUSED, needs_a_look=LATE, act_now=BAD)
RETRAINS = states.texts(
    ready=OK, being_decided=RUNNING, cooling_down=WAITING, asked=PAUSED, budget_spent=BAD
)


def lap() -> Dashboard:
    """Arrange the page: the verdict, six stages with state and age, what has been, what to do."""
    return board(
        "relay-lap",
        "The lap",
        "Is the loop turning? Data, train, gate, serve, drift, retrain, with state and age.",
        shelf(4, (6, _turning()), (5, _champion()), (5, _worth()), (4, _asked()), (4, _left())),
        shelf(3, *((4, stage) for stage in _stages()), title="Where it stands"),
        shelf(3, *((4, age) for age in _ages())),
        shelf(9, (12, _history()), (12, live_score()), title="How it came there"),
        shelf(7, (12, alerts(ITS_ALERTS)), (12, _versions()), title="What needs somebody"),
    )


def _turning() -> Panel:
    firing = f'count(ALERTS{{alertstate="firing",{ITS_ALERTS},severity="%s"}})'
    pages, tickets = firing % "page", firing % "ticket"
    paused = 'max(relay_dag_paused{model="$model"}) == 1'
    champion = 'max(model:relay_champion:exists{model="$model"})'
    asked = 'max(relay_exporter_source_up{source="mlflow"}) == 1'
    verdict = states.first_of(
        (pages, BAD), (tickets, LATE), (paused, PAUSED), (champion, OK), (asked, NONE)
    )
    return state(
        "Is the loop turning?",
        "Act now: an alert that pages is firing; needs a look: one that makes a ticket. Both stand "
        "in the list below, each with its runbook. Paused: somebody has paused a DAG in Airflow. "
        "No champion: nothing is wrong, but nothing turns before a first version is trained.",
        now(verdict),
        TURNING,
        link=("alerts", "${page}/alerts"),
    )


def _champion() -> Panel:
    return number(
        "Champion",
        "The version that answers. 0 or none: nothing is served; look at the stages Gate and "
        "Serve.",
        now(f"max({SERVED})"),
        unit="prefix:v",
        link=("model", "/d/relay-model?var-model=$model"),
    )


def _worth() -> Panel:
    score, limit = (
        f'max(relay_check_{name}{{model="$model",check="live_score"}})'
        for name in ("score", "threshold")
    )
    return number(
        "Live log loss, of its limit",
        "Above 100 % the model is worth less than always saying the base rate. None: labels are "
        "missing; look at the label lag.",
        now(f"{score} / {limit}"),
        unit="percentunit",
        steps=SHARE_OF_LIMIT,
        decimals=0,
        link=("model", "/d/relay-model?var-model=$model"),
    )


def _asked() -> Panel:
    return number(
        "Answers a second",
        "Rows that the champion or a canary answered. None for long: nobody asks, or nobody is "
        "answered.",
        now(
            'sum(rate(relay_serving_predictions_total{model="$model",role!="shadow"}[$__rate_interval]))'
        ),
        decimals=1,
        link=("serving", "/d/relay-serving?var-model=$model"),
    )


def _left() -> Panel:
    return number(
        "Retrainings left",
        "What the policy's budget still allows. At 0 nothing trains by itself any more: find out "
        "why the loop needs so many before you raise retrain.budget. Not decided yet: the newest "
        "results wait for the monitor's next run, as after relay monitor by hand.",
        now(LEFT),
        texts={-1: ("not decided yet", "text")},
        link=("training", "/d/relay-training?var-model=$model"),
    )


def _stages() -> Sequence[Panel]:
    newest = f"max({GATE.format(alias='challenger')}) or max({GATE.format(alias='champion')})"
    return [
        _dag(
            "1 Data",
            "ingest",
            "A failed run: the batch was refused and lies in quarantine, with the reason in the "
            "log. Late: no run has ended well for two of the policy's periods.",
        ),
        _dag(
            "2 Train",
            "train",
            "A failed run: its log says why. A training that had nothing to do is ok. It has no "
            "hours: new data or the monitor starts it.",
        ),
        state(
            "3 Gate",
            "What the gate said of the challenger, else of the champion. Held back is no fault: "
            "the version's tags in MLflow say what it was not good enough at.",
            now(newest),
            GATES,
            empty="not asked",
            link=REGISTRY,
        ),
        state(
            "4 Serve",
            "Behind: serving has not loaded what the registry calls champion; its log says why. "
            "Unknown: serving itself is away.",
            now(SERVING),
            SERVES,
            link=("serving", "/d/relay-serving?var-model=$model"),
        ),
        state(
            "5 Drift",
            "The worst verdict of the newest checks. Alert: see which column, and the report. "
            "Unknown: a check could not run, or no monitor has run yet.",
            now(states.worst_verdict('model="$model"')),
            states.CHECKS,
            link=("report", "${page}/go/report/$model"),
        ),
        state(
            "6 Retrain",
            "Asked: the newest monitor run wants a training, which must show at Train. Cooling "
            "down: the policy lets none begin yet. Being decided: the newest results wait for it.",
            now(RETRAIN),
            RETRAINS,
            link=("training", "/d/relay-training?var-model=$model"),
        ),
    ]


def _dag(title: str, name: str, about: str) -> Panel:
    dag = f"${{model}}_{name}"
    link = ("Airflow", f"${{airflow}}/dags/{dag}")
    said = f"{about} Paused: by a person."
    return state(title, said, now(states.run_state(dag)), states.RUNS, link=link)


def _ages() -> Sequence[Panel]:
    return [
        _age(
            "Since the newest data",
            'relay_dataset_created_timestamp_seconds{dataset="$model"}',
            "the data registry's newest version was published; older than the source's rhythm: see "
            "Data",
        ),
        _age(
            "Since the last training",
            'relay_training_last_run_timestamp_seconds{model="$model"}',
            "the newest training run began; to be read with the champion's age beside it",
        ),
        _age(
            "Age of the champion",
            CREATED,
            "the champion was registered; above the policy's max_age_days an alert asks for a "
            "training",
        ),
        number(
            "Since the registry was seen",
            "How stale what is served may be. More than a minute: MLflow is away from serving, "
            "which goes on with what it has.",
            now("max(relay_serving_registry_age_seconds)"),
            unit="s",
            decimals=0,
        ),
        _age(
            "Since the last check",
            'relay_monitor_last_run_timestamp_seconds{model="$model"}',
            "the monitor last judged; more than two of its periods: look at its DAG",
        ),
        number(
            "Since a training was asked for",
            "Time since the monitor last asked for a training, if it did in a day. Cooling down "
            "above: it may not ask again yet; to train before, trigger the train DAG by hand.",
            now(ASKED),
            unit="s",
            decimals=0,
            empty="not in a day",
        ),
    ]


def _age(title: str, metric: str, about: str) -> Panel:
    sentence = f"Time since {about}."
    return number(title, sentence, now(f"time() - max({metric})"), unit="s", decimals=0)


def _history() -> Panel:
    dags = [
        query(states.run_state(f"${{model}}_{name}"), name)
        for name in ("ingest", "train", "monitor")
    ]
    checks = query(states.worst_verdict('model="$model"'), "checks")
    return timeline(
        "The lap, stage by stage",
        "Green and blue in turn is a loop that turns. A row that stays red or orange is where to "
        "begin: its stage above links to the place. No colour: its source was away.",
        *dags,
        query(SERVING, "serving"),
        checks,
        texts=states.STAGES,
    )


def _versions() -> Panel:
    return timeline(
        "Who answers",
        "The versions that serving had loaded, by role. Two that change places again and again: "
        "the gate's limits are too near to chance.",
        query('max by (role) (relay_serving_served_version{model="$model"} > 0)', "{{role}}"),
        unit="prefix:v",
    )
