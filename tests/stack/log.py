"""A volume with a prediction log in; the ids of all that it holds out."""

import json

from tests.stack.stack import IMAGE, Stack, docker
from tests.stack.traffic import Traffic

IDS = """
import json, pathlib
from monitoring.prediction_log.reading import read_labels, read_predictions
log = pathlib.Path("/log")
read = {"predictions": read_predictions(log, "flights"), "labels": read_labels(log, "flights")}
print(json.dumps({name: list(frame["id"]) for name, frame in read.items()}))
"""


def logged(stack: Stack, volume: str) -> dict[str, set[str]]:
    """Read the ids of all predictions and of all labels from a volume."""
    mount = f"{stack.project}_{volume}:/log:ro"
    told = docker("run", "--rm", "--network", "none", "--volume", mount, IMAGE, "python", "-c", IDS)
    return {name: set(ids) for name, ids in json.loads(told).items()}


def assert_kept(traffic: Traffic, log: dict[str, set[str]]) -> None:
    """Hold what was acknowledged against what is in the log."""
    assert set(traffic.answered) <= log["predictions"]
    assert set(traffic.labelled) <= log["labels"]
