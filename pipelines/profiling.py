"""Training steps, as they are taken, in; a trace of a few of them out, for people.

The trace opens in https://ui.perfetto.dev. Only these steps take longer for it, and no step
computes anything else (https://docs.pytorch.org/docs/stable/profiler.html).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch.profiler import profile, schedule

SKIPPED, WARM_UP, TRACED = 5, 1, 5  # steps: the first allocate, and are not like the rest


@contextmanager
def tracing(path: Path) -> Iterator[Callable[[], None]]:
    """Give what to call after each step; then ``path`` (.json.gz) has the trace.

    There is none where fewer than ``SKIPPED + WARM_UP + 1`` steps are taken.
    """
    with profile(
        schedule=schedule(wait=SKIPPED, warmup=WARM_UP, active=TRACED, repeat=1),
        on_trace_ready=lambda traced: traced.export_chrome_trace(str(path)),
    ) as profiler:
        yield profiler.step
