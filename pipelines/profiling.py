"""Training steps, as they are taken, in; a trace of a few of them out, for people.

The trace opens in https://ui.perfetto.dev; the operators that took longest are named in the log.
Only these steps take longer for it, and no step computes anything else
(https://docs.pytorch.org/docs/stable/profiler.html).
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch.profiler import profile, schedule

log = logging.getLogger(__name__)

SKIPPED, WARM_UP, TRACED = 5, 1, 5  # steps: the first allocate, and are not like the rest
NAMED = 5  # operators


@contextmanager
def tracing(path: Path) -> Iterator[Callable[[], None]]:
    """Give what to call after each step; then ``path`` (.json.gz) has the trace.

    There is none where fewer than ``SKIPPED + WARM_UP + 1`` steps are taken.
    """

    def keep(traced: profile) -> None:
        traced.export_chrome_trace(str(path))
        log.info("slowest operators of the traced steps: %s", ", ".join(slowest(traced)))

    with profile(
        schedule=schedule(wait=SKIPPED, warmup=WARM_UP, active=TRACED, repeat=1),
        on_trace_ready=keep,
    ) as profiler:
        yield profiler.step


def slowest(traced: profile) -> list[str]:
    """Name the operators by the time that they took themselves, on the GPU where there is one."""
    steps = traced.key_averages()
    gpu = any(each.self_device_time_total for each in steps)
    seconds = {
        each.key: (each.self_device_time_total if gpu else each.self_cpu_time_total) / 1e6
        for each in steps
        if not each.key.startswith("ProfilerStep")
    }
    longest = sorted(seconds, key=lambda name: -seconds[name])[:NAMED]
    total = sum(seconds.values()) or 1.0
    return [
        f"{name} {seconds[name] * 1e3:.1f} ms ({seconds[name] / total:.0%})" for name in longest
    ]
