"""A lap's record and the loop's state in, a summary that a person understands out."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from services.embedded.platform import Address
from services.embedded.record import Record, Window

LIMIT = (
    "limit: what always saying the training's rate would lose, and what chance adds in a few days"
)

# of MLflow's UI, in the mode that has it in sight; not in the table, which it would make too wide
REGISTRY = "/#/models?workflowType=machine_learning"


def summarise(model: str, status: dict[str, Any], record: Record) -> Panel:
    """Lay out data, versions, windows, and why the champion is who it is."""
    windows: list[Table | Text] = [_windows(record.windows), Text(LIMIT, style="dim")]
    parts: list[Table | Text] = [
        _data(status["datasets"]),
        _versions(status),
        _baselines(status),
        *(windows if record.windows else []),
        _story(status, record.windows),
    ]
    spaced = [part for each in parts for part in (each, Text(""))]
    return Panel(Group(*spaced[:-1]), title=f"the loop of {model}", border_style="green")


def show_addresses(addresses: Sequence[Address], without: dict[str, str]) -> Panel:
    """Lay out where to go now, with logins, and what is missing."""
    table = Table.grid(padding=(0, 2))
    for address in addresses:
        login = f"login {address.login}, password {address.password}" if address.login else ""
        table.add_row(address.name, address.url, login or "no login: this machine only")
    for name, reason in without.items():
        table.add_row(name, "missing", reason)
    registry = [Text(f"registry: {a.url}{REGISTRY}") for a in addresses if a.name == "mlflow"]
    return Panel(Group(table, *registry), title="where to go now", border_style="blue")


def _data(datasets: Sequence[dict[str, Any]]) -> Table:
    table = _table("dataset", "rows", "from", "to", "git", "DVC md5")
    for dataset in datasets:
        start, end = dataset["start"][:10], dataset["end"][:10]
        revision, md5 = dataset["revision"][:10], dataset["md5"][:12]
        table.add_row(dataset["tag"], f"{dataset['rows']:,}", start, end, revision, md5)
    return table


def _versions(status: dict[str, Any]) -> Table:
    table = _table("version", "trained on", "because", "log loss", "on the same days", "gate")
    for version in status["versions"]:
        rival = f"{version.get('rival', '?')} {version.get('rival_log_loss', '?')}"
        table.add_row(
            f"{version['version']}{_role(version, status)}",
            version["dataset"],
            version["trigger"],
            version.get("log_loss", "?"),
            rival,
            version.get("gate", "?"),
        )
    return table


def _baselines(status: dict[str, Any]) -> Text:
    lines = [
        f"Version {version['version']} against its baselines, on its own hold-out: "
        f"{version['baselines']}."
        for version in status["versions"]
        if "baselines" in version
    ]
    return Text("\n".join(lines))


def _role(version: dict[str, Any], status: dict[str, Any]) -> str:
    for alias in ("champion", "challenger"):
        if (status[alias] or {}).get("version") == version["version"]:
            return f" @{alias}"
    return ""


def _windows(windows: Sequence[Window]) -> Table:
    table = _table("traffic", "version", "live log loss", "limit", "what alerts", "unknown")
    for window in windows:
        live = window.live or {}
        score, limit = live.get("score"), live.get("threshold")
        table.add_row(
            window.batch,
            window.version,
            f"{score:.3f}" if score is not None else "no score",
            f"{limit:.3f}" if limit is not None else "",
            ", ".join(window.alerts) or "nothing",
            ", ".join(window.unknown) or "nothing",
        )
    return table


def _story(status: dict[str, Any], windows: Sequence[Window]) -> Text:
    """Say why it retrained, and what that was worth where people use it."""
    champion = status["champion"]
    text = f"Champion now: version {champion['version']}. Why: {champion['reason']}."
    asked = next(iter(status["retrains"][-1:]), None)
    scored = [window for window in windows if _score(window)]
    if asked:
        before = [window for window in scored if window.version == asked["version"]]
        after = [window for window in scored if window.version == str(champion["version"])]
        for when, found in (("before", before[-1:]), ("after", after[:1])):
            for window in found:
                text += f"\nLive log loss {when}: {_score(window)} (version {window.version}, "
                text += f"{window.batch})."
    return Text(text)


def _score(window: Window) -> str:
    live = window.live or {}
    if live.get("score") is None:
        return ""
    return f"{live['score']:.3f}, limit {live['threshold']:.3f}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column)
    return table
