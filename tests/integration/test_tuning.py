"""A study on a real MLflow and a real database: two workers side by side, a trial that crashes."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines import batches, models
from pipelines.exits import Refused
from pipelines.models import Model
from pipelines.overrides import change
from pipelines.policy import Policy, PolicyError, Tune, read
from pipelines.settings import Settings
from pipelines.steps.ingest import ingest
from pipelines.steps.tune import best_parameters, experiment, tune
from pipelines.study import Study
from pipelines.tracking import PARENT, Tracking
from tests.programs import ROOT, Program

TRIALS = 8
SPACE = {
    "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "network.hidden": {"choices": [16, 128, -1]},  # the last one crashes
    "network.layers": {"low": 1, "high": 3},
}
WORKER = """
import sys
from pipelines.settings import Settings
from pipelines.steps.tune import tune
from pipelines.tracking import Tracking
from tests.integration.test_tuning import small

settings = Settings()
for number in sys.argv[2:]:
    said = tune(small(), settings, Tracking(settings.mlflow_url), "trial", sys.argv[1], int(number))
    print("state:", said["state"])
"""


def small() -> Model:
    """Flights, as they can be trained in seconds on few rows."""
    model = models.load("flights")
    changes = {"history_days": 60, "min_rows": 1000, "epochs": 4, "batch_size": 256}
    train = change(model.policy.train, changes)
    limits = Tune.model_validate({"trials": TRIALS, "space": SPACE})
    policy = model.policy.model_copy(update={"train": train, "tune": limits})
    return replace(model, policy=policy)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, mlflow_server: Program) -> Settings:
    settings = Settings(
        home=tmp_path_factory.mktemp("home"),
        mlflow_url=mlflow_server.url,
        airflow_run="flights_tune/one",
    )
    for name in ("2013-01", "2013-02"):
        rows = small().feed.read_batch(name).iloc[::10]
        batches.write(rows, settings.landing / "flights" / f"{name}.csv.gz")
        ingest(small(), settings)
    return settings


@pytest.fixture(scope="module")
def tracking(settings: Settings) -> Tracking:
    return Tracking(settings.mlflow_url)


@pytest.fixture(scope="module")
def study(settings: Settings, tracking: Tracking) -> dict[str, Any]:
    """A study that two workers shared; gives what its last part said."""
    begun = tune(small(), settings, tracking, "study")
    assert tune(small(), settings, tracking, "study") == begun, "a repeated task is the same study"
    env = os.environ | {
        "RELAY_HOME": str(settings.home),
        "RELAY_MLFLOW_URL": settings.mlflow_url,
    }
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, begun["study"], *map(str, numbers)],
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            text=True,
        )
        for numbers in (range(0, TRIALS, 2), range(1, TRIALS, 2))
    ]
    told = "".join(each.communicate()[0] for each in workers)
    states = re.findall(r"^state: (\w+)$", told, re.M)
    assert [each.returncode for each in workers] == [0, 0]
    return begun | {"states": states} | tune(small(), settings, tracking, "best", begun["study"])


def test_a_crash_is_a_failed_trial_and_the_study_has_its_best(
    study: dict[str, Any], settings: Settings
) -> None:
    counts = Study.find(study["study"], settings).states()
    assert sum(counts.values()) == TRIALS == len(study["states"])
    assert counts == {state: study["states"].count(state) for state in set(study["states"])}
    assert counts["fail"] >= 1
    assert counts["complete"] >= 3
    assert set(study["params"]) == set(SPACE)
    assert study["params"]["network.hidden"] > 0


def test_every_trial_is_a_run_in_the_studys(
    study: dict[str, Any], settings: Settings, tracking: Tracking
) -> None:
    name = experiment("flights")
    nested = tracking.find_runs(name, f"tags.`{PARENT}` = '{study['run_id']}'")
    assert len(nested) == TRIALS
    states = [run.info.status for run in nested]
    assert states.count("FAILED") == study["states"].count("fail")
    assert states.count("FINISHED") == TRIALS - study["states"].count("fail")
    scores = [run.data.metrics["best"] for run in nested if "best" in run.data.metrics]
    assert study["validation_log_loss"] == pytest.approx(min(scores))
    today = [run for run in nested if run.data.tags["mlflow.runName"] == "trial 0"]
    assert today[0].data.params["network.hidden"] == "128"
    parent = tracking.get_run(study["run_id"])
    assert parent.info.status == "FINISHED"
    files = {file.path for file in tracking.client.list_artifacts(study["run_id"])}
    assert files >= {"importance.png", "history.png", "params.yaml"}
    assert parent.data.metrics["trials/fail"] == study["states"].count("fail")


def test_the_best_parameters_are_what_train_takes(
    study: dict[str, Any], settings: Settings
) -> None:
    found = best_parameters(study["study"], settings)
    params = change(small().policy.train, found)
    assert params.network["hidden"] == study["params"]["network.hidden"]
    assert params.network["dropout"] == small().policy.train.network["dropout"]
    assert params.learning_rate == study["params"]["learning_rate"]


def test_a_study_in_which_all_fail_has_no_best(settings: Settings, tracking: Tracking) -> None:
    broken = small()
    space = {"network.hidden": {"choices": [-1, -2]}}
    limits = Tune.model_validate({"trials": 2, "space": space})
    train = change(broken.policy.train, {"network": {"hidden": -1}})
    policy = broken.policy.model_copy(update={"tune": limits, "train": train})
    with pytest.raises(Refused, match=r"no trial of .* came to its end: \{'fail': 2\}"):
        tune(replace(broken, policy=policy), at(settings, "flights_tune/all fail"), tracking)


def at(settings: Settings, airflow_run: str) -> Settings:
    return settings.model_copy(update={"airflow_run": airflow_run})


def test_what_cannot_be_tuned(settings: Settings, tracking: Tracking) -> None:
    with pytest.raises(Refused, match="there is no study 'none': relay tune begins one"):
        tune(small(), settings, tracking, "best", "none")
    with pytest.raises(Refused, match="part trial is of a study: say which"):
        tune(small(), settings, tracking, "trial")
    model = small()
    fixed = replace(model, policy=model.policy.model_copy(update={"tune": None}))
    with pytest.raises(Refused, match="has no section 'tune'"):
        tune(fixed, settings, tracking)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("low: 1.0e-4, high: 1.0e-2", "low: 1.0e-2, high: 1.0e-4", "nothing can be drawn"),
        ("choices: [128, 256, 512]", "choices: [128, 512]", "batch_size does not hold 256"),
        ("network.layers:", "network.depth:", "network.depth does not hold None"),
    ],
)
def test_a_space_that_does_not_hold_todays_parameters(
    tmp_path: Path, old: str, new: str, why: str
) -> None:
    given = (models.FOLDER / "flights/params.yaml").read_text()
    assert old in given
    (tmp_path / "params.yaml").write_text(given.replace(old, new, 1))
    with pytest.raises(PolicyError, match=why):
        read(tmp_path / "params.yaml")
    assert isinstance(read(models.FOLDER / "flights/params.yaml"), Policy)
