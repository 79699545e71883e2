import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Lock
from typing import Any

import pandas as pd
import psutil
import pytest
import uuid6
from watchdog.events import FileCreatedEvent

from monitoring.checks import run_checks
from monitoring.evidently_report import save_report
from monitoring.results import Window
from monitoring.sketches import sketch_training
from services.evidently.__main__ import Waiting, WithoutPictures
from tests.monitor_windows import SCHEMA, WINDOW, answers, limits, sketch
from tests.programs import Program, free_port, running, wait_for

Start = Callable[[AbstractContextManager[Program]], Program]


def save(workspace: Path, model: str = "flights", keep: int = 3) -> str:
    """A report of a window whose thermometer went Celsius and whose seats are all missing."""
    window = Window(**{**WINDOW.model_dump(), "model": model})
    reference, current = answers(1000, seed=1), answers(1000)
    current = current.assign(temp=(current["temp"] - 32) / 1.8, seats=None)
    trained_on = sketch_training(reference, SCHEMA, "binary")
    results = run_checks(window, trained_on, sketch(current), SCHEMA, limits())
    return save_report(workspace, window, results, reference, current, SCHEMA, keep)


@pytest.fixture
def ui(start: Start, tmp_path: Path) -> Program:
    (tmp_path / "workspace").mkdir()
    return start(starting([sys.executable, "-m", "services.evidently"], tmp_path))


def starting(evidently: list[str], home: Path) -> AbstractContextManager[Program]:
    """The real UI, on a workspace that is there."""
    port = free_port()
    command = [*evidently, "--port", str(port), "--workspace", str(home / "workspace")]
    url, log = f"http://127.0.0.1:{port}", home / "ui.log"
    return running(command, {"DO_NOT_TRACK": "1"}, url, "/api/projects", log)


def reports(ui: Program, saved: str) -> list[dict[str, Any]]:
    project = saved.split("/")[2]
    answer = ui.get(f"/api/projects/{project}/reports")
    return answer.json() if answer.status_code == 200 else []


def test_a_running_ui_shows_projects_and_reports_as_they_come(ui: Program, tmp_path: Path) -> None:
    for model in ("flights", "surnames"):
        saved = save(tmp_path / "workspace", model)
        (report,) = wait_for(lambda saved=saved: reports(ui, saved), "the first report")  # type: ignore[misc]
        assert saved.endswith(f"/reports/{report['id']}")
        assert report["name"] == f"{model} version 3, 2013-03-01 to 2013-03-15"
        assert report["metadata"]["alert"] == "missing seats, drift temp"
        assert "drift seats" in report["metadata"]["unknown"]
        assert report["tags"] == ["version 3", "alert"]
        assert report["timestamp"].startswith("2013-03-15")
        assert ui.get(saved).status_code == 200
    assert {project["name"] for project in ui.get("/api/projects").json()} == {
        "flights",
        "surnames",
    }


SLOW_START = """
import sys, time
from pathlib import Path
from evidently.ui.service.storage.local.base import LocalState
from services.evidently.__main__ import main

read, (begun, go) = LocalState.reload, map(Path, sys.argv[1:3])

def read_for_long(state):
    read(state)
    begun.touch()
    while not go.exists():
        time.sleep(0.01)

LocalState.reload = read_for_long
sys.argv[1:3] = []
main()
"""


@pytest.mark.parametrize("known", [True, False], ids=["known project", "new project"])
def test_a_report_saved_while_the_ui_starts_is_shown(
    start: Start, tmp_path: Path, known: bool
) -> None:
    workspace, begun, go = (tmp_path / name for name in ("workspace", "begun", "go"))
    workspace.mkdir()
    saved = [save(workspace)] if known else []

    def save_between() -> None:
        wait_for(begun.exists, "the UI to have read the workspace")
        saved.append(save(workspace))
        go.touch()

    with ThreadPoolExecutor(1) as pool:
        between = pool.submit(save_between)
        command = [sys.executable, "-c", SLOW_START, str(begun), str(go)]
        ui = start(starting(command, tmp_path))
        between.result()
    expected = {report.split("/")[-1] for report in saved}
    shown = lambda: {report["id"] for report in reports(ui, saved[-1])} == expected  # noqa: E731
    wait_for(shown, "all reports")


def test_a_first_report_that_is_told_of_before_its_project_is_not_lost(tmp_path: Path) -> None:
    state = WithoutPictures.load(str(tmp_path), None)
    _, _, project, _, report = save(tmp_path).split("/")
    handler = Waiting(state, Lock())
    for told in (f"snapshots/{report}.json", "metadata.json"):
        handler.dispatch(FileCreatedEvent(str(tmp_path / project / told)))
    assert list(state.snapshots[uuid6.UUID(project)]) == [uuid6.UUID(report)]


def test_many_reports_cost_the_ui_little_memory_and_each_can_be_opened(
    ui: Program, tmp_path: Path
) -> None:
    saved, process = save(tmp_path / "workspace", keep=100), psutil.Process(ui.process.pid)
    wait_for(lambda: reports(ui, saved), "the first report")
    _, _, project, _, first = saved.split("/")
    folder, before = tmp_path / "workspace" / project / "snapshots", process.memory_info().rss
    size = (folder / f"{first}.json").stat().st_size
    for _ in range(30):
        (folder / f"{uuid6.uuid7()}.json").hardlink_to(folder / f"{first}.json")
    wait_for(lambda: len(reports(ui, saved)) == 31, "all reports")
    assert process.memory_info().rss - before < 30 * size  # six times that, where all stay
    opened = ui.get(f"/api/projects/{project}/{first}/data")
    assert "Value Drift" in opened.text


def test_old_reports_go_and_the_ui_forgets_them(ui: Program, tmp_path: Path) -> None:
    saved = [save(tmp_path / "workspace", keep=2) for _ in range(3)]
    kept = {report.split("/")[-1] for report in saved[1:]}
    wait_for(lambda: {report["id"] for report in reports(ui, saved[0])} == kept, "the kept two")


def test_no_other_report_is_read_to_let_go_of_old_ones(tmp_path: Path) -> None:
    """As another monitor may delete it meanwhile, and hundreds are hundreds of megabytes."""
    other = save(tmp_path, "surnames").split("/")
    damaged = tmp_path / other[2] / "snapshots" / f"{other[4]}.json"
    damaged.write_text("{")
    saved = [save(tmp_path, keep=2).split("/") for _ in range(3)]
    left = {path.stem for path in (tmp_path / saved[0][2] / "snapshots").iterdir()}
    assert left == {report[4] for report in saved[1:]}
    assert damaged.exists()


def content(workspace: Path, saved: str) -> str:
    """What the UI draws."""
    _, _, project, _, report = saved.split("/")
    return (workspace / project / "snapshots" / f"{report}.json").read_text()


def test_the_report_shows_the_limits_as_tests(tmp_path: Path) -> None:
    drawn = content(tmp_path, save(tmp_path))
    assert "Value Drift for column temp" in drawn
    assert "The drift threshold is 0.20" in drawn
    assert "missing values: Less or Equal" in drawn


@pytest.mark.parametrize(
    ("window", "sample", "trained_on", "drawn"),
    [
        ({"temp": 1e308}, {}, {}, True),
        ({"temp": float("inf")}, {}, {}, True),
        ({"temp": "warm"}, {"temp": "warm"}, {}, False),
        ({}, {"temp": None}, {}, False),
        ({}, {}, {"temp": None}, False),
        ({}, {"carrier": None}, {"carrier": None}, True),
    ],
    ids=["huge", "infinite", "a text", "none drawn", "none kept", "no text"],
)
def test_values_that_cannot_be_drawn_do_not_cost_the_report(
    tmp_path: Path,
    window: dict[str, Any],
    sample: dict[str, Any],
    trained_on: dict[str, Any],
    drawn: bool,
) -> None:
    reference, odd = answers(1000, seed=1), answers(1).assign(id="odd", **window)
    current = pd.concat([answers(1000), odd], ignore_index=True)
    rows = [sketch(current[:1000]), sketch(odd)]  # as the log keeps them: a batch of each kind
    rows[0].merge(rows[1])
    results = run_checks(
        WINDOW, sketch_training(reference, SCHEMA, "binary"), rows[0], SCHEMA, limits()
    )
    samples = reference.assign(**trained_on), current.assign(**sample)
    report = content(tmp_path, save_report(tmp_path, WINDOW, results, *samples, SCHEMA, 3))
    assert ("Value Drift for column temp" in report) == drawn
    assert "Value Drift for column hour" in report


def test_a_feature_that_is_newer_than_the_version_does_not_cost_the_report(tmp_path: Path) -> None:
    reference = answers(1000, seed=1).drop(columns="temp")
    trained_on = sketch_training(
        reference, {n: c for n, c in SCHEMA.items() if n != "temp"}, "binary"
    )
    current = answers(1000)
    results = run_checks(WINDOW, trained_on, sketch(current), SCHEMA, limits())
    report = save_report(tmp_path, WINDOW, results, reference, current, SCHEMA, 3)
    assert "Value Drift for column hour" in content(tmp_path, report)


def test_two_monitors_at_once_make_one_project(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: save(tmp_path), range(2))
    assert first.split("/")[2] == second.split("/")[2]
    assert first != second
    assert not list(tmp_path.rglob("*.new"))
