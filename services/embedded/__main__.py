"""``up``, ``down``, ``forget`` or ``status`` in; the platform, driven by hand, out."""

import argparse
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from services.embedded import strays
from services.embedded.health import POLL
from services.embedded.holding import holder
from services.embedded.platform import STOPPING, Address, start
from services.embedded.preflight import PlatformError
from services.embedded.settings import Embedded


def up(settings: Embedded) -> int:
    """Run the platform until Ctrl-C or ``down``."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background jobs ignore the first
        signal.signal(number, signal.default_int_handler)
    try:
        with start(settings, lambda name, seconds: _say(f"{seconds:6.1f} s  {name}")) as platform:
            for name, reason in platform.without.items():
                _say(f"without {name}: {reason}")
            for address in platform.addresses():
                _say(_line(address))
            _say("Ctrl-C ends it")
            signal.pause()
    except KeyboardInterrupt:
        _say("ended; nothing is left running")
    except PlatformError as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    return 0


def down(settings: Embedded) -> int:
    """End the platform of this home, whoever started it; fine when there is none."""
    owner = holder(settings.home)
    if owner is not None:
        _end(settings.home, owner)
    strays.end(settings.home, STOPPING)
    return 0


def forget(settings: Embedded) -> int:
    """End the platform and delete its home, if it is one: nobody means their own folder."""
    down(settings)
    home = settings.home
    if not home.exists():
        return 0
    if not (home / "run").is_dir() and any(home.iterdir()):
        sys.stderr.write(f"{home} is not a home of Relay (it has no folder run/): not deleted\n")
        return 1
    shutil.rmtree(home)
    _say(f"{home} is forgotten")
    return 0


def status(settings: Embedded) -> int:
    """Say what runs; 1 when nothing does."""
    owner = holder(settings.home)
    if owner is None:
        _say(f"no platform runs from {settings.home}")
        return 1
    _say(f"a platform runs from {settings.home}, started by process {owner}")
    for process in strays.processes_of(settings.home):
        with process.oneshot():
            megabytes = process.memory_info().rss / 1e6
            _say(f"{process.pid:8} {megabytes:6.0f} MB  {' '.join(process.cmdline())[:100]}")
    return 0


def _end(home: Path, owner: int) -> None:
    os.kill(owner, signal.SIGINT)  # as Ctrl-C, so that it ends all in order
    latest = time.monotonic() + 2 * STOPPING
    while holder(home) == owner:
        if time.monotonic() > latest:
            os.kill(owner, signal.SIGKILL)
        time.sleep(POLL)


def _line(address: Address) -> str:
    login = f"  login {address.login}, password {address.password}" if address.login else ""
    return f"{address.name:12} {address.url}{login}"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m services.embedded", description=__doc__)
    parser.add_argument("do", choices=["up", "down", "forget", "status"])
    does = {"up": up, "down": down, "forget": forget, "status": status}
    return does[parser.parse_args().do](Embedded())


if __name__ == "__main__":
    sys.exit(main())
