"""An ONNX graph in, one with weights of eight bits out, and whether it is the better one.

Dynamic quantisation: weights become INT8 once, what they are multiplied with when it is asked, so
no data is needed (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self

import numpy as np
import onnx
import pandas as pd
from onnx import ModelProto
from onnxruntime.quantization import QuantType, quantize_dynamic

from pipelines import asking
from pipelines.models import Model
from pipelines.policy import Optimize
from pipelines.training_record import NETWORK

if TYPE_CHECKING:
    from pipelines.steps.train import Trained

log = logging.getLogger(__name__)

CALLS = 300  # of each graph, in turns, so that a busy machine slows both


@dataclass(frozen=True)
class Gain:
    """What became of the graph: before and after."""

    bytes: tuple[int, int]  # serialised
    seconds: tuple[float, float]  # the median, one row at a time
    log_loss: tuple[float, float]  # nats, on the hold-out

    @classmethod
    def measure(
        cls, before: ModelProto, after: ModelProto, row: pd.DataFrame, log_loss: tuple[float, float]
    ) -> Self:
        """Time both graphs by turns on one row; the rest is known."""
        asked = asking.session(before), asking.session(after)
        inputs = asking.tensors(asked[0], row)
        slow, fast = medians(*(partial(each.run, None, inputs) for each in asked))
        sizes = before.ByteSize(), after.ByteSize()
        return cls(bytes=sizes, seconds=(slow, fast), log_loss=log_loss)

    def faults(self, limits: Optimize) -> list[str]:
        """Say why the smaller graph shall not be kept; nothing if it shall."""
        found = []
        worse, speedup = self.log_loss[1] - self.log_loss[0], self.seconds[0] / self.seconds[1]
        if not worse <= limits.max_score_loss:
            found.append(f"log loss {worse:+.4f}, allowed {limits.max_score_loss:+}")
        if not speedup >= limits.min_speedup:
            found.append(f"{speedup:.2f} times as fast, wanted {limits.min_speedup}")
        return found

    def tags(self) -> dict[str, str]:
        """Say for a version's tags what was gained and lost."""
        (size, smaller), (slow, fast), (loss, other) = self.bytes, self.seconds, self.log_loss
        return {
            "relay.optimize.bytes": f"{size} -> {smaller} ({smaller / size - 1:+.0%})",
            "relay.optimize.latency": f"{slow * 1e6:.0f} -> {fast * 1e6:.0f} us "
            f"({fast / slow - 1:+.0%})",
            "relay.optimize.log_loss": f"{loss:.4f} -> {other:.4f} ({other - loss:+.4f})",
        }


def optimized(trained: "Trained", model: Model) -> tuple["Trained", dict[str, str]]:
    """Make the graph smaller, if the policy wants it and its gate finds that worth it.

    Gives what shall be served, and tags that say what was gained or why nothing was changed.
    """
    limits = model.policy.optimize
    if limits is None or limits.method == "none":
        return trained, {}
    smaller = trained.answered_by(quantize(trained.graph), model)
    losses = trained.scores[NETWORK]["log_loss"], smaller.scores[NETWORK]["log_loss"]
    gain = Gain.measure(trained.graph, smaller.graph, trained.holdout.head(1), losses)
    faults = gain.faults(limits)
    verdict = f"none: {'; '.join(faults)}" if faults else limits.method
    log.info("optimize: %s; %s", verdict, gain.tags())
    return trained if faults else smaller, gain.tags() | {"relay.optimize": verdict}


def quantize(graph: ModelProto) -> ModelProto:
    """Return the graph with weights of eight bits; the same graph gives the same bytes."""
    logging.getLogger().addFilter(_no_advice)  # to prepare the graph, which exporting has done
    try:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "graph.onnx"
            quantize_dynamic(graph, path, weight_type=QuantType.QInt8)
            smaller = onnx.load(path)
    finally:
        logging.getLogger().removeFilter(_no_advice)
    onnx.checker.check_model(smaller, full_check=True)
    return smaller


def _no_advice(record: logging.LogRecord) -> bool:
    return "pre-processing before quantization" not in record.getMessage()


def medians(*calls: Callable[[], object]) -> list[float]:
    """Time calls in turns; the median of each, in seconds."""
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(CALLS):
        for call, taken in zip(calls, seconds, strict=True):
            started = time.perf_counter()
            call()
            taken.append(time.perf_counter() - started)
    return [float(np.median(taken)) for taken in seconds]
