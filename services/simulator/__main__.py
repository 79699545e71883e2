"""`python -m services.simulator --model flights`: a plan and the environment in, traffic out."""

import asyncio
import signal
import sys

from pipelines.policy import PolicyError
from pipelines.settings import Settings
from services.simulator.client import Client
from services.simulator.plan import Plan, read_plan
from services.simulator.progress import tell
from services.simulator.replay import Replay


async def simulate(plan: Plan, settings: Settings) -> None:
    """Replay, then stay until told to stop, or end if the plan says once."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    file = settings.serving_label_token_file
    token = file.read_text(encoding="utf-8").strip() if file else ""
    client = Client(settings.serving_url, plan.model, plan.connections, token)
    state = settings.home / "simulator" / f"{plan.model}.json"
    running = asyncio.create_task(Replay(plan, client, settings.landing, state).run())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running  # raises what went wrong
            await asyncio.sleep(0) if plan.once else await stopping
    finally:
        running.cancel()
        stopping.cancel()
        await client.close()


def main() -> int:
    """Give 0 when all was replayed or it was told to stop, 2 where the plan cannot be followed."""
    plan = read_plan()
    try:
        asyncio.run(simulate(plan, Settings()))
    except (PolicyError, ValueError) as error:
        tell("failed", error=str(error))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
