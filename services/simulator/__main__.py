"""`python -m services.simulator`: plans and the environment in, traffic of all models out."""

import asyncio
import signal
import sys
from collections.abc import Sequence
from typing import Any

from pipelines.policy import PolicyError
from pipelines.settings import Settings
from services.simulator.client import Client
from services.simulator.plan import Plan, read_plans
from services.simulator.progress import tell
from services.simulator.replay import Replay


async def replay(plan: Plan, settings: Settings) -> None:
    """Replay one model's plan to its end."""
    file = settings.serving_label_token_file
    token = file.read_text(encoding="utf-8").strip() if file else ""
    client = Client(settings.serving_url, plan.model, plan.connections, token)
    state = settings.home / "simulator" / f"{plan.model}.json"
    try:
        await Replay(plan, client, settings.landing, state).run()
    finally:
        await client.close()


async def simulate(plans: Sequence[Plan], settings: Settings) -> None:
    """Replay all plans at once, then stay until told to stop, or end if they say once."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    running: asyncio.Future[Any] = asyncio.gather(*(replay(plan, settings) for plan in plans))
    stopping: asyncio.Future[Any] = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running  # raises what went wrong
            await asyncio.sleep(0) if plans[0].once else await stopping
    finally:
        running.cancel()
        stopping.cancel()
        await asyncio.gather(running, stopping, return_exceptions=True)  # clients close


def main() -> int:
    """Give 0 when all was replayed or it was told to stop, 2 where the plan cannot be followed."""
    plans = read_plans()
    try:
        asyncio.run(simulate(plans, Settings()))
    except (PolicyError, ValueError) as error:
        tell("failed", error=str(error))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
