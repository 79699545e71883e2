"""A month of the feed in; the same month in a world that has changed, and its traffic, out.

The planted drift: barometers read 40 hPa less than they did, and whoever flies before noon is an
hour late, who flies later is on time. What a champion has learned of winter is worth less there
than one number, and who learns from the month itself does well.
"""

import asyncio

import pandas as pd

from pipelines import models
from services.simulator.client import Client
from services.simulator.plan import Plan
from services.simulator.traffic import sampled
from tests.outside import MODEL, Outside

FALL, USUAL = 40.0, 1015.0  # hPa
LATE = 60.0  # minutes
ASKED = pd.Timedelta(days=15)  # the monitor's window is a day shorter
SAMPLE = 0.1  # of the flights


def planted(batch: pd.DataFrame) -> pd.DataFrame:
    """Change a month. Its flights get ids of their own: the true ones may come, too."""
    arrived = batch["arr_delay"].notna()
    delay = (batch["hour"] < 12).astype("float64") * LATE
    return batch.assign(
        flight_id="planted-" + batch["flight_id"],
        pressure=batch["pressure"].fillna(USUAL) - FALL,
        arr_delay=delay.where(arrived),
    )


def traffic(batch: pd.DataFrame) -> pd.DataFrame:
    """Draw the flights of a month's last days that are asked about, with what became of them."""
    rows = sampled(models.load(MODEL), Plan(MODEL, sample=SAMPLE), batch)
    since = rows["scheduled_time"].max() - ASKED
    asked: pd.DataFrame = rows[rows["scheduled_time"] > since]
    return asked


def replay(outside: Outside, rows: pd.DataFrame) -> int:
    """Ask serving about every row, then tell it what became of each; give how many it answered."""
    answered = asyncio.run(_ask(outside.url("serving"), rows))
    landed = rows.dropna(subset=["label", "label_time"])
    came = zip(landed["flight_id"], landed["label"], landed["label_time"], strict=True)
    outside.label([{"id": i, "label": label, "time": t.isoformat()} for i, label, t in came])
    return answered


async def _ask(serving: str, rows: pd.DataFrame) -> int:
    client = Client(serving, MODEL, connections=8)
    waiting = iter(rows.to_dict("records"))

    async def ask_on() -> None:
        for row in waiting:
            named = {str(name): value for name, value in row.items()}
            await client.ask(named["flight_id"], named["scheduled_time"], named)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(ask_on())
    finally:
        await client.close()
    return client.answered
