"""A plan in, the outside world replayed: requests, labels when they are known, a batch a month."""

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from pipelines import batches
from pipelines.models import Model, load
from services.simulator.client import Client
from services.simulator.plan import Plan
from services.simulator.progress import Progress, tell
from services.simulator.traffic import Tick, due, sampled, ticks, world


class Replay:
    """One run. Killed and started again it goes on at the tick where it was."""

    def __init__(self, plan: Plan, client: Client, landing: Path, state: Path) -> None:
        """Raises ValueError where the plan names what the feed does not have."""
        self._plan = plan
        self._client = client
        self._model: Model = load(plan.model)
        self._landing = landing / plan.model
        self._state = state
        self._progress = Progress() if plan.restart else Progress.read(state)
        self._names: list[str] = self._model.feed.batch_names()
        self._months = plan.months(self._names)
        self._next_slot = 0.0

    async def run(self) -> None:
        """Replay every month that is not done yet, then deliver the labels still to come."""
        todo = self._todo()
        asked = self._asked_before(todo)
        for month in todo:
            asked = await self._month(month, asked)
        if asked is not None:
            await self._deliver(due(asked, self._clock()))
        self._tell("done", todo[-1] if todo else None)

    def _todo(self) -> list[str]:
        landed = self._progress.landed
        done = self._names[: self._names.index(landed) + 1] if landed in self._names else []
        return [month for month in self._months if month not in done]

    async def _month(self, month: str, earlier: pd.DataFrame | None) -> pd.DataFrame | None:
        """Replay a month and land its batch. Gives the rows that were asked."""
        data = self._model.policy.data
        batch = world(self._model, self._plan, month)
        rows = None
        if self._plan.requests:
            rows = sampled(self._model, self._plan, batch)
            for tick in ticks(rows, earlier, data.event_time, self._clock()):
                await self._tick(tick)
        batches.write(batch[list(data.columns)], self._landing / f"{month}{batches.SUFFIX}")
        self._progress.landed = month
        self._progress.write(self._state)
        self._tell("landed", month)
        return rows

    async def _tick(self, tick: Tick) -> None:
        started = time.monotonic()
        await self._ask(tick.rows)
        await self._deliver(tick.labels)
        self._progress.clock = tick.end.isoformat()
        self._progress.write(self._state)
        if self._plan.speed:
            seconds = (tick.end - tick.rows.iloc[0][self._time]).total_seconds() / self._plan.speed
            await asyncio.sleep(max(0.0, started + seconds - time.monotonic()))

    async def _ask(self, rows: pd.DataFrame) -> None:
        """Ask about all rows, so many at once as there are connections, at the plan's rate."""
        waiting = iter(rows.to_dict("records"))
        names = self._model.policy.data

        async def ask_on() -> None:
            for row in waiting:
                await self._slot()
                named = {str(name): value for name, value in row.items()}
                await self._client.ask(named[names.id], named[names.event_time], named)

        async with asyncio.TaskGroup() as group:
            for _ in range(self._plan.connections):
                group.create_task(ask_on())

    async def _slot(self) -> None:
        """Wait for the next moment at which the rate allows a request."""
        if self._plan.rate:
            now = time.monotonic()
            self._next_slot = max(self._next_slot, now - 1) + 1 / self._plan.rate
            await asyncio.sleep(max(0.0, self._next_slot - now))

    async def _deliver(self, labels: pd.DataFrame) -> None:
        if labels.empty:
            return
        ids = labels[self._model.policy.data.id]
        due: Iterable[tuple[str, float, pd.Timestamp]] = zip(
            ids, labels["label"], labels["label_time"], strict=True
        )
        await self._client.label(
            {"id": name, "label": label, "time": when.isoformat()} for name, label, when in due
        )

    def _asked_before(self, todo: list[str]) -> pd.DataFrame | None:
        """Give the rows of the last month that an earlier run asked; their labels may be due.

        It may have been killed while it delivered them: the same label again changes nothing.
        """
        done = self._months[: len(self._months) - len(todo)]
        if not done or not self._plan.requests or not self._progress.clock:
            return None
        return sampled(self._model, self._plan, world(self._model, self._plan, done[-1]))

    @property
    def _time(self) -> str:
        return self._model.policy.data.event_time

    def _clock(self) -> pd.Timestamp | None:
        return pd.Timestamp(self._progress.clock) if self._progress.clock else None

    def _tell(self, event: str, month: str | None) -> None:
        client = self._client
        counts = {"answered": client.answered, "labels": client.labelled, "refused": client.refused}
        tell(event, model=self._plan.model, month=month, clock=self._progress.clock, **counts)
