"""What `mlflow models serve` answers, serving answers: both run, on the same registered models."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import programs
from tests.mlflow_models import MODELS, champion
from tests.programs import Program, wait_for
from tests.small_models import delete

Theirs = Callable[[str], Program]
JSON, CSV = "application/json", "text/csv"
RECORDS = [
    {"carrier": "UA", "hour": 6, "temp": 31.5},
    {"carrier": "AA", "hour": 12, "temp": 0.25},
    {"carrier": "a new one", "hour": 23, "temp": 80},
]
COLUMNS = {name: [row[name] for row in RECORDS] for name in ("carrier", "hour", "temp")}
ROWS = [[*row.values()] for row in RECORDS]
SPLIT: dict[str, Any] = {"columns": [*COLUMNS], "data": ROWS}
LINES = "carrier,hour,temp\nUA,6,31.5\nAA,12,0.25\n"
TABLE: dict[str, Any] = {
    "split": {"dataframe_split": SPLIT},
    "split with index": {"dataframe_split": SPLIT | {"index": [5, 6, 7]}},
    "split in another order": {
        "dataframe_split": {"columns": [*COLUMNS][::-1], "data": [r[::-1] for r in ROWS]}
    },
    "records": {"dataframe_records": RECORDS},
    "one record": {"dataframe_records": RECORDS[:1]},
    "inputs by column": {"inputs": COLUMNS},
    "inputs of one row": {"inputs": RECORDS[0]},
    "inputs as records": {"inputs": RECORDS},
    "instances": {"instances": RECORDS},
    "instances by column": {"instances": COLUMNS},
    "csv": LINES,
    "csv with CRLF": LINES.replace("\n", "\r\n"),
    "csv without the last line's end": LINES.rstrip(),
    "csv with quotes": 'carrier,hour,temp\n"a ""new"", one",6,31.5\n',
    "csv with a line in quotes": 'carrier,hour,temp\n"two\nlines",6,31.5\n',
    "csv with blank lines": LINES.replace("\nAA", "\n\nAA"),
    "csv in another order": "temp,carrier,hour\n1e1,DL, 7\n",
    "csv in other letters": "carrier,hour,temp\nÄÖ,+6,-.5\n",
    "csv with BOM": "\ufeff" + LINES,
}
MISSING: dict[str, Any] = {
    "null": {"dataframe_split": SPLIT | {"data": [["UA", 6, None]]}},
    "records without it": {"dataframe_records": [RECORDS[0], {"carrier": "UA", "hour": 6}]},
    "csv without it": "carrier,hour,temp\nUA,6,\n",
    "csv with NA": "carrier,hour,temp\nUA,6,NA\nUA,7,null\nUA,8,3\n",
}
IMAGE: list[Any] = [[[1, 2], [3, 4.5]], [[5, 6], [7, 8]]]
VECTORS: list[list[float]] = [[0.1, 0.2, 0.3, 0.4], [1, 2, 3, 4]]
ARRAY: dict[str, Any] = {
    "inputs": {"inputs": VECTORS},
    "instances": {"instances": VECTORS},
    "split": {"dataframe_split": {"columns": ["a", "b", "c", "d"], "data": VECTORS}},
    "split without names": {"dataframe_split": {"data": VECTORS}},
    "split with numbers": {"dataframe_split": {"columns": [0, 1, 2, 3], "data": VECTORS}},
    "records": {"dataframe_records": [dict(zip("abcd", row, strict=True)) for row in VECTORS]},
    "rows in a list": {"dataframe_split": {"columns": ["any"], "data": [[v] for v in VECTORS]}},
}
SEVERAL: dict[str, list[Any]] = {"a": [[1, 2], [3, 4]], "b": [5, 6], "c": [[7], [8]]}
ROWS_OF_SEVERAL = [{name: SEVERAL[name][row] for name in SEVERAL} for row in (0, 1)]
GOOD: dict[str, dict[str, Any]] = {
    "table": TABLE | MISSING,
    "image": {
        "inputs": {"inputs": IMAGE},
        "inputs by name": {"inputs": {"x": IMAGE}},
        "instances": {"instances": IMAGE},
        "instances by name": {"instances": [{"x": value} for value in IMAGE]},
        "flat rows": {"dataframe_split": {"columns": ["x"], "data": [[[1, 2, 3, 4]]]}},
        "flat records": {"dataframe_records": [{"x": [1, 2, 3, 4]}, {"x": [5, 6, 7, 8.5]}]},
    },
    "unnamed": ARRAY,
    "several": {
        "inputs": {"inputs": SEVERAL},
        "instances": {"instances": ROWS_OF_SEVERAL},
        "records": {"dataframe_records": ROWS_OF_SEVERAL},
        "split": {
            "dataframe_split": {
                "columns": ["a", "b", "c"],
                "data": [[*row.values()] for row in ROWS_OF_SEVERAL],
            }
        },
    },
    "classifier": TABLE,
    "regressor": TABLE,
    "probabilities": ARRAY,
    "frames": TABLE | MISSING,
    "arrays": {"records": TABLE["records"], "csv": TABLE["csv"]},
    "series": {"records": TABLE["records"], "csv": TABLE["csv"]},
}
BAD_TABLE: dict[str, Any] = {
    "not JSON": "{",
    "no object": [1, 2],
    "no format": {"data": [1]},
    "two formats": {"inputs": COLUMNS, "instances": RECORDS},
    "missing column": {"dataframe_records": [{"carrier": "UA", "temp": 1}]},
    "a word for a number": {"dataframe_records": [RECORDS[0] | {"hour": "six"}]},
    "a word for an optional number": {"dataframe_records": [RECORDS[0] | {"temp": "warm"}]},
    "null for an integer": {"dataframe_records": [RECORDS[0] | {"hour": None}]},
    "records that are none": {"dataframe_records": {"carrier": "UA"}},
    "split that is none": {"dataframe_split": RECORDS},
    "ragged split": {"dataframe_split": SPLIT | {"data": [["UA", 6, 1, 2]]}},
    "unknown key in split": {"dataframe_split": SPLIT | {"rows": 3}},
    "columns of different lengths": {"inputs": COLUMNS | {"hour": [1, 2]}},
    "rows without names": {"inputs": ROWS},
    "csv without a column": "carrier,temp\nUA,6\n",
    "csv with a word for a number": "carrier,hour,temp\nUA,six,1\n",
    "csv with a fraction for an integer": "carrier,hour,temp\nUA,6.5,1\n",
    "csv without an integer": "carrier,hour,temp\nUA,,1\n",
    "csv with a long row": LINES + "UA,6,1,2\n",
    "csv with an open quote": 'carrier,hour,temp\n"UA,6,1\n',
}
BAD: dict[str, dict[str, Any]] = {
    "table": BAD_TABLE,
    "classifier": BAD_TABLE,
    "image": {
        "shape": {"inputs": [[1, 2], [3, 4]]},
        "a word": {"inputs": [[["a", 2], [3, 4]]]},
        "ragged": {"inputs": [[[1, 2], [3]]]},
        "csv": "x\n1\n",
    },
    "unnamed": {
        "too wide": {"inputs": [[1, 2, 3, 4, 5]]},
        "too wide a frame": {"dataframe_split": {"data": [[1, 2, 3, 4, 5]]}},
    },
    "several": {"without one": {"inputs": {"a": [[1, 2]], "b": [1]}}},
}
STRICTER: dict[str, Any] = {  # MLflow answers these: it converts, drops or invents
    "unknown column": {"dataframe_records": [RECORDS[0] | {"wind": 1}]},
    "unknown key": {"inputs": COLUMNS, "other": 1},
    "unknown parameter": {"inputs": COLUMNS, "params": {"temperature": 1}},
    "a fraction for an integer": {"dataframe_records": [RECORDS[0] | {"hour": 6.5}]},
    "a number in words": {"dataframe_records": [RECORDS[0] | {"hour": "6"}]},
    "csv with a column twice": "carrier,hour,temp,hour\nUA,6,1,7\n",
    "csv with a short row": "carrier,hour,temp\nUA,6\n",
}


@contextmanager
def mlflow_models_serve(home: Path, registry: str, model: str) -> Iterator[Program]:
    port = programs.free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"]
    command += ["-m", f"models:/{model}@champion", "--host", "127.0.0.1", "--port", str(port)]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # it starts uvicorn by its name
    env = {"MLFLOW_TRACKING_URI": registry, "MLFLOW_DISABLE_TELEMETRY": "true", "PATH": path}
    log = home / f"{model}-mlflow.log"
    with programs.running(command, env, f"http://127.0.0.1:{port}", "/ping", log) as program:
        yield program


@pytest.fixture(scope="module")
def registry(mlflow_server: Program) -> Iterator[str]:
    """MLflow with a champion of each kind."""
    for name in MODELS:
        champion(mlflow_server.url, name)
    yield mlflow_server.url
    for name in MODELS:
        delete(mlflow_server.url, name)


@pytest.fixture(scope="module")
def ours(registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    unsafe = "frames, arrays,series"
    home = tmp_path_factory.mktemp("ours")
    with programs.serving(home, registry, serving_unsafe_models=unsafe) as program:
        for name in MODELS:
            labels = {"model": name, "role": "champion"}
            wait_for(lambda: program.metric("relay_serving_served_version", **labels) == 1, name)  # noqa: B023
        yield program


@pytest.fixture(scope="module")
def theirs(
    registry: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Program]]:
    """MLflow's own server of a model, started when it is first asked for."""
    home = tmp_path_factory.mktemp("theirs")
    with ExitStack() as stack:
        yield cache(lambda model: stack.enter_context(mlflow_models_serve(home, registry, model)))


def ask(program: Program, model: str, body: Any) -> httpx.Response:
    kind, content = (CSV, body) if isinstance(body, str) and body != "{" else (JSON, body)
    if not isinstance(content, str):
        content = json.dumps(content)
    url = f"{program.url}/invocations?model={model}"
    return httpx.post(url, content=content, headers={"content-type": kind}, timeout=60)


def rounded(value: Any) -> Any:
    """Numbers as far as float32 knows them."""
    if isinstance(value, dict):
        return {name: rounded(v) for name, v in value.items()}
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return pytest.approx(value, rel=1e-5, abs=1e-6) if isinstance(value, float) else value


def cases(table: dict[str, dict[str, Any]]) -> list[Any]:
    return [
        pytest.param(model, body, id=f"{model}: {name}")
        for model, bodies in table.items()
        for name, body in bodies.items()
    ]


@pytest.mark.parametrize(("model", "body"), cases(GOOD))
def test_what_mlflow_answers_is_answered_the_same(
    ours: Program, theirs: Theirs, model: str, body: Any
) -> None:
    wanted, got = ask(theirs(model), model, body), ask(ours, model, body)
    assert wanted.status_code == 200, wanted.text
    assert got.status_code == 200, got.text
    assert got.json() == rounded(wanted.json())
    assert got.headers["content-type"] == wanted.headers["content-type"]


@pytest.mark.parametrize(("model", "body"), cases(BAD))
def test_what_mlflow_refuses_is_refused(
    ours: Program, theirs: Theirs, model: str, body: Any
) -> None:
    wanted, got = ask(theirs(model), model, body), ask(ours, model, body)
    assert (wanted.status_code // 100, got.status_code // 100) == (4, 4), (wanted.text, got.text)
    assert got.json().keys() >= {"error_code", "message"} <= wanted.json().keys()


@pytest.mark.parametrize(("model", "body"), cases({"table": STRICTER}))
def test_what_is_refused_on_purpose(ours: Program, theirs: Theirs, model: str, body: Any) -> None:
    wanted, got = ask(theirs(model), model, body), ask(ours, model, body)
    assert (wanted.status_code, got.status_code) == (200, 400), (wanted.text, got.text)


@pytest.mark.parametrize("kind", ["text/plain", "text/csv; charset=latin-1", "text/csv; header=no"])
def test_other_content_types_are_refused(ours: Program, theirs: Theirs, kind: str) -> None:
    for program in (ours, theirs("table")):
        url = program.url + "/invocations?model=table"
        response = httpx.post(url, content=LINES, headers={"content-type": kind})
        assert response.status_code == 415


@pytest.mark.parametrize("path", ["/ping", "/health", "/version"])
def test_it_tells_what_mlflow_tells(ours: Program, theirs: Theirs, path: str) -> None:
    wanted, got = theirs("table").get(path), ours.get(path + "?model=table")
    assert (got.status_code, got.text) == (wanted.status_code, wanted.text)
    assert httpx.head(ours.url + path + "?model=table").status_code == 200


@pytest.mark.parametrize("word", ["exit", "fewer"])
def test_a_model_that_misbehaves_ends_nothing(ours: Program, word: str) -> None:
    body = {"dataframe_records": [RECORDS[0] | {"carrier": word}]}
    assert ask(ours, "series", body).status_code == 500
    assert ask(ours, "series", TABLE["records"]).status_code == 200
    assert ours.process.poll() is None
