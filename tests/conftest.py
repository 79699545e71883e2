"""Fixtures for all tests: real programs, started once a session where they can be shared."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from tests import programs
from tests.programs import Program


class _ByFile(LoadFileScheduling):  # type: ignore[misc]
    """Tests of a file share programs, so one process runs them; so it does the whole platform's."""

    def _split_scope(self, nodeid: str) -> str:
        return "e2e" if "/e2e/" in nodeid else str(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """Share tests out among processes."""
    return _ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=lambda item: "e2e" not in item.path.parts)


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """One MLflow for all tests that do not hurt it: leave no aliases behind."""
    with programs.mlflow_server(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture
def start() -> Iterator[Callable[[AbstractContextManager[Program]], Program]]:
    """Start programs that live as long as the test: `start(serving(home, url))`."""
    with ExitStack() as stack:
        yield stack.enter_context


@pytest.fixture
def serving(tmp_path: Path, mlflow_server: Program) -> Iterator[Program]:
    """A serving process of the test's own on the shared MLflow; its home is tmp_path."""
    with programs.serving(tmp_path, mlflow_server.url) as program:
        yield program


@pytest.fixture
def registry(mlflow_server: Program) -> Iterator[str]:
    """MLflow with versions 1 (champion) and 2 of the model flights; gives its address."""
    from tests.serving_client import BIASES
    from tests.small_models import delete, register, set_alias, small_model

    for version in ("1", "2"):
        assert register(mlflow_server.url, "flights", small_model(BIASES[version])) == version
    set_alias(mlflow_server.url, "flights", "champion", "1")
    yield mlflow_server.url
    delete(mlflow_server.url, "flights")
