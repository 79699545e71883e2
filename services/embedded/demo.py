"""``make demo``: the platform and one lap before a person's eyes; it stays up until Ctrl-C.

The lap is one model's; the platform is of all, for whoever asks. With ``--once`` it ends after the
lap, with 0 only if every stage did what it should.
"""

import argparse
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from pipelines import models
from services.embedded.airflow_api import AirflowApi, AirflowError
from services.embedded.lap import A_DAY, Lap, LapError
from services.embedded.platform import Platform, start
from services.embedded.preflight import PlatformError
from services.embedded.settings import Embedded
from services.embedded.summary import show_addresses, summarise

RATE = "5"  # requests a second of the traffic that goes on while people look around


class Teller:
    """Shows the lap: a spinner on a terminal, a line a stage everywhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.begun = time.monotonic()
        self.status: Status | None = None
        self.stage = ""

    def begin(self, stage: str) -> None:
        """A stage begins."""
        self.stage = stage
        self.status = self.console.status(f"{stage} ...")
        self.status.start()

    def hear(self, note: str) -> None:
        """Something happened inside the stage."""
        if self.status:
            self.status.update(f"{self.stage}: {note}")

    def end(self, stage: str, seconds: float, outcome: str) -> None:
        """A stage has done what it should."""
        self.quiet()
        total = time.monotonic() - self.begun
        self.console.print(
            f"[dim]{total:6.1f} s[/]  [green]ok[/] {stage:<28} [dim]{seconds:5.1f} s[/]  "
            + escape(outcome),
            highlight=False,
            soft_wrap=True,
        )

    def quiet(self) -> None:
        """Take the spinner away."""
        if self.status:
            self.status.stop()
            self.status = None


def lap(
    platform: Platform, name: str, planted: list[str], console: Console, teller: Teller
) -> None:
    """Drive one lap for a model, and say what came out."""
    airflow_address = next(a for a in platform.addresses() if a.name == "airflow")
    airflow = AirflowApi(airflow_address.url, airflow_address.login, airflow_address.password)
    one = Lap(platform, airflow, name, models.load(name).feed.batch_names(), teller, planted)
    if not one.run():
        console.print(f"the lap of {name} was made before; `make clean` forgets it")
    console.print(summarise(name, one.status(), one.record))


def stay(platform: Platform, name: str, planted: list[str], console: Console) -> None:
    """Let slow traffic go on until Ctrl-C."""
    platform.simulate(["--model", name, "--rate", RATE, "--a-day", A_DAY, *planted])
    last = models.load(name).feed.batch_names()[-1]
    console.print(f"Traffic goes on, {RATE} requests a second, until the feed ends with {last}.")
    console.print("Ctrl-C stops everything.")
    signal.pause()


@contextmanager
def orderly(teller: Teller) -> Iterator[None]:
    """Say so when we are told to stop, and then be deaf: a second Ctrl-C leaves nothing half."""
    try:
        yield
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        teller.quiet()
        teller.console.print("stopping; a step that runs may take some seconds")
        raise


def main() -> int:
    """Give 0 if all went well, 1 with a message if not."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="one lap, then stop")
    parser.add_argument("--model", required=True, choices=models.names(), help="whose lap")
    parser.add_argument("--drift", help="what is planted: a name in pipelines/<model>/drifts.py")
    given = parser.parse_args()
    drifts = models.load(given.model).drifts
    if given.drift and given.drift not in drifts:
        known = ", ".join(drifts) or "none"
        parser.error(f"{given.model} has no drift {given.drift!r}; it has {known}")
    planted = ["--drift", given.drift] if given.drift else []
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background jobs ignore the first
        signal.signal(number, signal.default_int_handler)
    console = Console(width=None if sys.stdout.isatty() else 130)
    teller = Teller(console)

    def well(name: str, seconds: float) -> None:
        console.print(f"[dim]{seconds:6.1f} s[/]  [green]up[/] {name}", highlight=False)

    try:
        with start(Embedded(), well) as platform, orderly(teller):
            lap(platform, given.model, planted, console, teller)
            console.print(show_addresses(platform.addresses(), dict(platform.without)))
            if given.once:
                console.print("the lap is made; stopping all of it, `make demo` goes on from here")
            else:
                stay(platform, given.model, planted, console)
    except KeyboardInterrupt:
        teller.quiet()
        console.print("stopped; nothing is left running, and `make demo` goes on from here")
        return 0 if not given.once else 130
    except (PlatformError, LapError, AirflowError) as error:
        teller.quiet()
        where = f"{teller.stage}: " if teller.stage else ""
        console.print(f"[red]failed[/] {escape(where + str(error))}", soft_wrap=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
