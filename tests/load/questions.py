"""What every server is asked in each workload, and whether it answers right."""

from itertools import islice
from pathlib import Path

import httpx
import numpy as np

from tests.load import models
from tests.load.contenders import Columns, Contender
from tests.load.figures import BATCHES, TABLE, TABLES, TENSOR
from tests.load.processes import BenchError

CASES = {TENSOR: ("tensor", 1), BATCHES: ("tensor", 32), TABLE: ("table", 1), TABLES: ("table", 32)}
BODIES = 16  # different ones a workload, so that remembering an answer is of no use
TOLERANCE = 1e-4


class Questions:
    """The rows of each workload, and the numbers that each model's first version gives for them."""

    def __init__(self) -> None:
        graphs = {"tensor": models.tensor_model(), "table": models.table_model()}
        draw = {"tensor": models.tensor_rows, "table": models.table_rows}
        self._asked: dict[str, list[Columns]] = {}
        self._expected: dict[str, list[list[float]]] = {}
        for workload, (model, rows) in CASES.items():
            asked: list[Columns] = [draw[model](rows, seed) for seed in range(BODIES)]
            self._asked[workload] = asked
            self._expected[workload] = [models.answers(graphs[model], one) for one in asked]

    def write(self, contender: Contender, workload: str, folder: Path) -> Path:
        """Write what a server is asked, a body a line."""
        bodies = self._bodies(contender, workload)
        file = folder / f"{contender.name} {workload}.jsonl"
        file.write_bytes(b"\n".join(bodies) + b"\n")
        return file

    def first_answer(self, contender: Contender, url: str, workload: str) -> bytes:
        """Ask the first body."""
        body, *_ = self._bodies(contender, workload)
        return _ask(address(contender, url, workload), body).content

    def check(self, contender: Contender, url: str, workload: str) -> None:
        """Compare the answers to all bodies. Raises BenchError: a wrong one is no throughput."""
        questions = zip(self._bodies(contender, workload), self._expected[workload], strict=True)
        for body, numbers in islice(questions, 1 if contender.fixed else None):
            answer = _ask(address(contender, url, workload), body)
            try:
                given = np.ravel(contender.numbers(answer.json()))
            except (LookupError, ValueError) as error:
                raise BenchError(f"{workload}: answered {answer.text[:500]}") from error
            if given.shape != (len(numbers),) or not np.allclose(given, numbers, atol=TOLERANCE):
                raise BenchError(f"{workload}: answered {given}, want {np.array(numbers)}")

    def _bodies(self, contender: Contender, workload: str) -> list[bytes]:
        model, _ = CASES[workload]
        return [contender.body(model, columns) for columns in self._asked[workload]]


def address(contender: Contender, url: str, workload: str) -> str:
    """Say where a server is asked."""
    model, rows = CASES[workload]
    return url + contender.path.format(model=model, rows=rows)


def _ask(url: str, body: bytes) -> httpx.Response:
    headers = {"content-type": "application/json"}
    try:
        answer = httpx.post(url, content=body, headers=headers, timeout=60, trust_env=False)
    except httpx.TransportError as error:
        raise BenchError(f"{url} did not answer: {error!r}") from error
    if answer.status_code != httpx.codes.OK:
        raise BenchError(f"{url} answered {answer.status_code}: {answer.text[:500]}")
    return answer
