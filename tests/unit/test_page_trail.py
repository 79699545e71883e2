import multiprocessing
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.page.notifications import Notification, read_notification
from services.page.trail import Filter, Trail

START = "2026-03-01T10:00:00Z"
ALL = Filter()


def notification(*names: str, status: str = "firing", model: str = "flights") -> Notification:
    return Notification.model_validate(
        {
            "version": "4",
            "status": status,
            "receiver": "page",
            "groupKey": "g",
            "later": {"kept": True},
            "alerts": [
                {
                    "status": status,
                    "labels": {"alertname": name, "model": model, "severity": "page"},
                    "startsAt": START,
                    "endsAt": START if status == "resolved" else "0001-01-01T00:00:00Z",
                }
                for name in names
            ],
        }
    )


def names(trail: Trail, wanted: Filter = ALL, limit: int = 100) -> list[str]:
    return [entry.alert.name for entry in trail.newest(wanted, limit).entries]


@pytest.fixture
def trail(tmp_path: Path) -> Trail:
    return Trail(tmp_path / "alerts")


def test_the_newest_stands_first(trail: Trail) -> None:
    assert names(trail) == []
    trail.keep(notification("A", "B"))
    trail.keep(notification("C"))
    assert names(trail) == ["C", "A", "B"]


def test_what_a_later_alertmanager_adds_is_kept_too(trail: Trail, tmp_path: Path) -> None:
    trail.keep(notification("A"))
    assert '"later":{"kept":true}' in (tmp_path / "alerts/alerts.jsonl").read_text()


def test_an_end_is_told_once_it_has_ended(trail: Trail) -> None:
    trail.keep(notification("A"))
    trail.keep(notification("A", status="resolved"))
    resolved, firing = trail.newest(ALL, 10).entries
    assert firing.alert.ended is None
    assert resolved.alert.ended == resolved.alert.starts_at


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(name="A"), ["A", "A"]),
        (Filter(model="surnames"), ["B"]),
        (Filter(status="resolved"), ["A"]),
        (Filter(severity="page", name="B"), ["B"]),
        (Filter(severity="ticket"), []),
    ],
)
def test_filters(trail: Trail, wanted: Filter, found: list[str]) -> None:
    trail.keep(notification("A"))
    trail.keep(notification("B", model="surnames"))
    trail.keep(notification("A", status="resolved"))
    assert names(trail, wanted) == found


def test_more_than_are_shown_is_said(trail: Trail) -> None:
    trail.keep(notification("A", "B", "C"))
    found = trail.newest(ALL, 2)
    assert [entry.alert.name for entry in found.entries] == ["A", "B"]
    assert found.more
    assert not trail.newest(ALL, 3).more


@pytest.mark.parametrize("torn", [b'{"received', b"\x00\x00", b"{}"])
def test_a_torn_last_line_is_nobodys_and_the_next_one_is_whole(
    trail: Trail, tmp_path: Path, torn: bytes
) -> None:
    trail.keep(notification("A"))
    with (tmp_path / "alerts/alerts.jsonl").open("ab") as file:
        file.write(torn)
    assert names(trail) == ["A"]
    trail.keep(notification("B"))
    assert names(trail) == ["B", "A"]
    assert trail.newest(ALL, 10).damaged == 0


def test_a_damaged_line_is_counted_and_hides_no_other(trail: Trail, tmp_path: Path) -> None:
    trail.keep(notification("A"))
    with (tmp_path / "alerts/alerts.jsonl").open("ab") as file:
        file.write(b"not json\n")
    trail.keep(notification("B"))
    assert names(trail) == ["B", "A"]
    assert trail.newest(ALL, 10).damaged == 1


def test_it_stays_bounded_and_the_oldest_go_first(tmp_path: Path) -> None:
    trail = Trail(tmp_path, max_bytes=1000, kept=3)
    for number in range(40):
        trail.keep(notification(f"N{number}"))
    files = list(tmp_path.iterdir())
    assert len(files) <= 4
    assert sum(path.stat().st_size for path in files) < 4 * 2000
    seen = names(trail)
    assert seen == [f"N{number}" for number in range(39, 39 - len(seen), -1)]
    assert len(seen) >= 6


def test_many_writers_lose_none_over_rotations(tmp_path: Path) -> None:
    trail = Trail(tmp_path, max_bytes=2000, kept=1000)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: trail.keep(notification(f"T{n}")), range(100)))
    writer = multiprocessing.get_context("spawn").Process(target=_write, args=(tmp_path,))
    writer.start()
    for number in range(50):
        trail.keep(notification(f"P{number}"))
    writer.join()
    expected = {f"T{n}" for n in range(100)} | {f"{p}{n}" for p in "PQ" for n in range(50)}
    seen = names(trail, limit=1000)
    assert set(seen) == expected
    assert len(seen) == len(expected)


def _write(folder: Path) -> None:
    trail = Trail(folder, max_bytes=2000, kept=1000)
    for number in range(50):
        trail.keep(notification(f"Q{number}"))


FULL = """
import signal, sys
from pathlib import Path
from services.page.trail import Filter, Trail
from tests.unit.test_page_trail import notification
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
trail = Trail(Path(sys.argv[1]))
kept = 0
try:
    while True:
        trail.keep(notification(f"N{kept}"))
        kept += 1
except OSError as error:
    found = trail.newest(Filter(), 1000)
    assert found.damaged == 0
    print(kept, len(found.entries), error.strerror)
"""


def test_a_full_disk_is_an_error_and_leaves_whole_lines(tmp_path: Path) -> None:
    done = subprocess.run(
        ["prlimit", "--fsize=3000", sys.executable, "-c", FULL, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": "."},
    )
    kept, seen, reason = done.stdout.split(maxsplit=2)
    assert kept == seen != "0"
    assert reason.strip()


def test_what_is_no_notification_names_the_field() -> None:
    good = notification("A").model_dump_json(by_alias=True).encode()
    assert read_notification(good).alerts[0].name == "A"
