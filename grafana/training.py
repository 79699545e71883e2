"""Training and registry: what was trained on what, what the gate said, who is what now."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana import states
from grafana.board import CREATED, REGISTRY, board, shelf
from grafana.panels import (
    ANY_IS_BAD,
    SHARE_OF_LIMIT,
    Panel,
    bars,
    lines,
    listing,
    now,
    number,
    query,
    rows,
    state,
    timeline,
)
from grafana.states import GATES

OF = 'model="$model"'
DATASET = 'dataset="$model"'
RUNS = ("Airflow", "${airflow}/dags/${model}_train")


def training() -> Dashboard:
    """Arrange the page: who is champion and how good, the runs, then the data beneath."""
    return board(
        "relay-training",
        "Training and registry",
        "What was trained, on what data, and what the gate said of it.",
        shelf(4, (4, _champion()), (5, _age()), (5, _gate()), (5, _last()), (5, _budget())),
        shelf(8, (12, _scores()), (12, _aliases()), title="The registry"),
        shelf(8, (14, _tasks()), (10, _durations()), title="The train DAG"),
        shelf(8, (12, _history()), (12, _trainings())),
        shelf(
            4,
            (5, _version()),
            (5, _rows()),
            (5, _newest()),
            (5, _published()),
            (4, _quarantine()),
            title="The data",
        ),
        shelf(7, (24, _growth())),
    )


def _champion() -> Panel:
    return number(
        "Versions",
        "By alias, and the newest of all. A challenger older than the champion is left over: "
        "delete its alias.",
        now(f"max by (alias) (relay_model_version{{{OF}}})", "{{alias}}"),
        now(f"max(relay_model_versions{{{OF}}})", "newest"),
        unit="prefix:v",
        link=REGISTRY,
    )


def _age() -> Panel:
    return number(
        "Champion's age, of its limit",
        "100 % is the policy's max_age_days. Beyond it trigger the train DAG by hand, and ask why "
        "the loop did not.",
        now(f"(time() - max({CREATED})) / max(relay:max_model_age_seconds{{{OF}}})"),
        unit="percentunit",
        steps=SHARE_OF_LIMIT,
        decimals=1,
    )


def _gate() -> Panel:
    return state(
        "Gate, of the challenger",
        "Held back: the challenger was not better by more than chance; the version's tags say at "
        "what. Nothing needs to be done.",
        now(f'max(relay_model_gate_passed{{{OF},alias="challenger"}})'),
        GATES,
        empty="no challenger",
        link=REGISTRY,
    )


def _last() -> Panel:
    return number(
        "Last training",
        "How long ago it began, and how long it took. Much longer than usual: other things take "
        "the processors, or the data grew.",
        now(f"time() - max(relay_training_last_run_timestamp_seconds{{{OF}}})", "ago"),
        now(f"max(relay_training_last_run_duration_seconds{{{OF}}})", "took"),
        unit="s",
        decimals=0,
        link=RUNS,
    )


def _budget() -> Panel:
    return number(
        "Retraining budget left",
        "Of what the policy allows. At 0 % the loop trains no more by itself: find the reason "
        "before raising retrain.budget.",
        now(f"min(relay_retrain_budget_left{{{OF}}}) / max(relay:retrain_budget{{{OF}}})"),
        unit="percentunit",
        decimals=0,
    )


def _scores() -> Panel:
    losses = f'max by (alias, metric) (relay_model_score{{{OF},metric=~"(.+/)?log_loss"}})'
    named = f'label_replace({losses}, "of", "$1", "metric", "(?:baselines/)?(.+?)(?:/log_loss)?")'
    return bars(
        "Log loss on the hold-out, by version",
        "Lower is better. A champion that is not clearly below its own baselines is not worth its "
        "upkeep; versions were held out on different days, so compare each with its baselines "
        "only.",
        now(f"sort({named})", "{{alias}} {{of}}"),
        link=REGISTRY,
    )


def _aliases() -> Panel:
    keys = "max by (alias, version)"
    score = f'{keys} (relay_model_score{{{OF},metric="%s"}})'
    return listing(
        "Who is what",
        "Hold-out scores of the versions that have an alias; what stands beside the log loss is as "
        "the kind of problem has it. A calibration error near the policy's limit says the "
        "probabilities should not be taken literally.",
        rows(score % "log_loss"),
        rows(f'{keys} (relay_model_score{{{OF},metric=~"auc|accuracy|perplexity"}})'),
        rows(score % "calibration_error"),
        rows(f"time() - {keys} (relay_model_version_created_timestamp_seconds{{{OF}}})"),
        columns={
            "alias": "alias",
            "version": "version",
            "Value #A": "log loss",
            "Value #B": "AUC, accuracy or perplexity",
            "Value #C": "calibration error",
            "Value #D": "age",
        },
        units={"age": "s"},
        link=REGISTRY,
    )


def _tasks() -> Panel:
    tasks = states.coded(
        "relay_task_last_state", 'dag="${model}_train"', "state", states.TASK_STATES
    )
    return timeline(
        "Its tasks, in the last run",
        "train, register, evaluate, promote: blue moves to the right and ends green, or skipped "
        "where there was nothing to do. Red: open the task's log in Airflow.",
        query(f"max by (task) ({tasks})", "{{task}}"),
        texts=states.TASKS,
        link=RUNS,
    )


def _durations() -> Panel:
    return bars(
        "How long they took",
        "Training should be the longest. A task of seconds that takes minutes waits for a source: "
        "see Airflow and Platform.",
        now(
            'sort_desc(max by (task) (relay_task_last_duration_seconds{dag="${model}_train"}))',
            "{{task}}",
        ),
        unit="s",
        link=RUNS,
    )


def _history() -> Panel:
    return lines(
        "Champion's log loss on its hold-out",
        "Steps are new champions. A step upwards is no fault by itself: the days that were held "
        "out may be harder.",
        query(f'max(relay_model_score{{{OF},alias="champion",metric="log_loss"}})', "champion"),
        query(
            f'max(relay_model_score{{{OF},alias="champion",metric="baselines/base_rate/log_loss"}})',
            "its base rate",
        ),
        stepped=True,
    )


def _trainings() -> Panel:
    return lines(
        "How long training takes",
        "Grows with the data. A jump without new data: the machine is shared with something new.",
        query(f"max(relay_training_last_run_duration_seconds{{{OF}}})", "newest run"),
        unit="s",
        stepped=True,
    )


def _version() -> Panel:
    return number(
        "Dataset version",
        "The data registry's newest. It stands still while batches come: see the ingest DAG.",
        now(f"max(relay_dataset_version{{{DATASET}}})"),
        unit="prefix:v",
    )


def _rows() -> Panel:
    return number(
        "Rows",
        "Of that version. Fewer than before cannot be: versions only grow.",
        now(f"max(relay_dataset_rows{{{DATASET}}})"),
    )


def _newest() -> Panel:
    return number(
        "Newest row",
        "Event time. Far behind the answers: labelled data comes late, and training sees an old "
        "world.",
        now(f"max(relay_dataset_newest_event_timestamp_seconds{{{DATASET}}}) * 1000"),
        unit="dateTimeAsIso",
    )


def _published() -> Panel:
    return number(
        "Published ago",
        "Older than the rhythm of the source: has a batch been delivered, was it refused?",
        now(f"time() - max(relay_dataset_created_timestamp_seconds{{{DATASET}}})"),
        unit="s",
        decimals=0,
    )


def _quarantine() -> Panel:
    return number(
        "Refused batches",
        "They lie in quarantine, each with its reason. Ask the source for a mended one, or mend "
        "the policy's schema.",
        now(f"max(relay_quarantined_batches{{{OF}}})"),
        steps=ANY_IS_BAD,
    )


def _growth() -> Panel:
    return lines(
        "Rows in the data registry",
        "A step a batch. No step where one was due: see the ingest DAG.",
        query(f"max(relay_dataset_rows{{{DATASET}}})", "rows"),
        stepped=True,
    )
