"""`python -m services.evidently`: a workspace folder in, Evidently's UI over its reports out.

`evidently ui` reads the folder first and begins to watch it afterwards: a report that is saved
between is shown to nobody until the next start. Here the watch comes first, and what it sees waits
until all is read. And it keeps every report whole in memory, which is six times its file; here the
pictures stay on disk, from where it takes them anyway. Otherwise it is the same UI.
"""

import argparse
from threading import Lock
from typing import Any

from evidently.ui.service.app import get_config, run
from evidently.ui.service.components.storage import LocalStorageComponent
from evidently.ui.service.managers.projects import ProjectManager
from evidently.ui.service.storage.local import create_local_project_manager
from evidently.ui.service.storage.local.base import LocalState
from evidently.ui.service.storage.local.watcher import WorkspaceDirHandler
from watchdog.events import FileSystemEvent
from watchdog.observers import Observer


class WatchedFirst(LocalStorageComponent):  # type: ignore[misc]
    """A workspace of which nothing is missed, whenever it is saved."""

    class Config:
        """How Evidently tells kinds of storage apart."""

        type_alias = "relay:watched_first"

    def project_manager_provider(self) -> Any:
        """Give what reads the workspace; Evidently calls it once, at the first question."""

        async def read() -> ProjectManager:
            state = WithoutPictures(self.path, None)
            state.location.makedirs("")
            reading = Lock()
            with reading:
                observer = Observer()
                observer.schedule(Waiting(state, reading), self.path, recursive=True)
                observer.start()
                state.reload()
                return create_local_project_manager(self.path, autorefresh=False, state=state)

        return read


class WithoutPictures(LocalState):  # type: ignore[misc]
    """What lists and trends ask of the reports; one that is opened is read from its file."""

    def reload_snapshot(self, project: Any, snapshot_id: Any, skip_errors: bool = True) -> None:
        """Read a report, and let go of what is drawn only when it is opened."""
        super().reload_snapshot(project, snapshot_id, skip_errors)
        if (report := self.snapshots[project.id].get(snapshot_id)) is None:
            return
        report.widgets, report.tests_widgets = [], []
        for result in report.metric_results.values():
            result.widget = []


class Waiting(WorkspaceDirHandler):  # type: ignore[misc]
    """Takes notice of a file as Evidently does, but not while the workspace is being read."""

    def __init__(self, state: LocalState, reading: Lock) -> None:
        super().__init__(state)
        self.reading = reading

    def dispatch(self, event: FileSystemEvent) -> None:
        """Wait, then hand over; events queue up meanwhile."""
        with self.reading:
            super().dispatch(event)

    def on_project_event(self, event: FileSystemEvent) -> None:
        """Take a project with its reports: the first one's event may have come before its own."""
        super().on_project_event(event)
        for project in list(self.state.projects):
            self.state.reload_snapshots(project)


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m services.evidently", description=__doc__)
    parser.add_argument("--workspace", required=True, help="the folder")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    given = parser.parse_args()
    config = get_config(given.host, given.port)
    config.storage = WatchedFirst(path=given.workspace)
    run(config)


if __name__ == "__main__":
    main()
