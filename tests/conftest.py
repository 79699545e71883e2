"""Fixtures for all tests: real programs, started once a session where they can be shared."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from tests import programs
from tests.programs import Program


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run side by side: those of a file together, as they share programs.

    Those of the whole platform are one group, and the first: they take longest.
    """
    for item in items:
        together = "e2e" if "e2e" in item.path.parts else str(item.path)
        item.add_marker(pytest.mark.xdist_group(together))
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
