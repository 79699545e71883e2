"""What a person does and sees in a browser: trains by Airflow's form, and watches the swap.

Headless Chromium; screenshots of every step are kept in build/screenshots.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.outside import ADMIN, MODEL, Outside
from tests.programs import ROOT
from tests.stack.lap import first_champion_again
from tests.stack.stack import Stack

CHROMIUM = shutil.which("chromium")
SCREENSHOTS = ROOT / "build/screenshots"
PATIENCE = 900_000.0  # ms, for a training; it takes a minute on a quiet machine
SLOW = 60_000.0  # ms, for a click's effect; it takes a second
TASKS = 4  # train, register, evaluate, promote
EPOCHS = "3"  # enough for a world as different as the changed month
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not CHROMIUM, reason="no chromium on this machine"),
]
Open = Callable[[str, str], Page]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=as_root)
        yield browser
        browser.close()


@pytest.fixture
def browse(chromium: Browser, stack: Stack) -> Open:
    """Open a part of the stack as a person who knows its password."""
    expect.set_options(timeout=SLOW)

    def browse(part: str, password: str = "") -> Page:
        login = {"username": ADMIN, "password": password} if password else None
        context = chromium.new_context(
            base_url=stack.url(part),
            http_credentials=login,  # type: ignore[arg-type]
            viewport={"width": 1440, "height": 1100},
        )
        context.set_default_timeout(SLOW)
        return context.new_page()

    return browse


def test_a_person_trains_by_the_form_and_sees_the_swap(
    stack: Stack, outside: Outside, browse: Open, changed_month: pd.DataFrame
) -> None:
    before = first_champion_again(stack, outside)
    secrets = stack.secrets()

    page = browse("airflow", "")
    log_in(page, secrets["airflow-admin"])
    run = train_by_the_form(page)
    watch_until_green(page, run)
    assert outside.run(f"{MODEL}_train", run)["state"] == "success"

    after = outside.airflow.result(f"{MODEL}_train", run, "register")["version"]
    assert str(after) != before
    look_up_the_champion(browse("mlflow", secrets["mlflow-admin"]), str(after))
    outside.await_served(str(after))
    look_at_the_dashboards(browse("page", ""), str(after))


def log_in(page: Page, password: str) -> None:
    page.goto("/")
    page.get_by_label("Username").fill(ADMIN)
    page.get_by_label("Password").fill(password)
    picture(page, "1-airflow-login")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/login" not in url)


def train_by_the_form(page: Page) -> str:
    """Trigger flights_train; give the run's id."""
    page.goto(f"/dags/{MODEL}_train")
    page.get_by_role("button", name="Trigger").click()
    form = page.get_by_role("dialog")
    epochs = form.get_by_role("spinbutton", name="Epochs")
    expect(epochs).not_to_have_value("")
    epochs.fill(EPOCHS)
    picture(page, "2-airflow-form")
    with page.expect_response(
        lambda answer: answer.request.method == "POST" and answer.url.endswith("/dagRuns")
    ) as answer:
        form.get_by_role("button", name="Trigger").click()
    return str(answer.value.json()["dag_run_id"])


def watch_until_green(page: Page, run: str) -> None:
    page.goto(f"/dags/{MODEL}_train/runs/{run}")
    states = page.get_by_test_id("state-badge")  # of the run, then of its tasks
    expect(states).to_have_count(1 + TASKS)
    expect(states.first).not_to_have_text("Queued", timeout=PATIENCE)
    picture(page, "3-airflow-running")
    expect(states.first).to_have_text(re.compile("Success|Failed"), timeout=PATIENCE)
    expect(states).to_have_text(["Success"] * (1 + TASKS))
    picture(page, "4-airflow-green")


def look_up_the_champion(page: Page, version: str) -> None:
    page.goto(f"/#/models/{MODEL}")
    row = page.get_by_role("row", name=re.compile(f"Version {version} "))
    expect(row.get_by_text("champion")).to_be_visible()
    picture(page, "5-mlflow-model")
    row.get_by_role("link", name=f"Version {version}").click()
    expect(page.get_by_text("yes: calibration error").first).to_be_visible()
    picture(page, "6-mlflow-version")


def look_at_the_dashboards(page: Page, version: str) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", name=f"One lap of {MODEL}")).to_be_visible()
    expect(page.get_by_text(f"champion: version {version}")).to_be_visible()
    picture(page, "7-page")
    page.goto(f"/d/relay-lap?var-model={MODEL}")
    champion = page.get_by_role("article", name="Champion", exact=True)
    expect(champion).to_contain_text(f"v{version}")
    expect(page.locator("article:not([data-state])")).to_have_count(0)
    expect(page.locator("article[data-state=error]")).to_have_count(0)
    picture(page, "8-page-lap")


def picture(page: Page, name: str) -> None:
    """Keep what a person sees now."""
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
