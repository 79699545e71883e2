"""A platform's home in; the processes that belong to it out, and a way to end them.

Every program of a platform carries `environment.MARK` in its environment and begins in the folder
`HERE`, and hands both on to what it starts; so even a child that outlived its parent is found. Both
are asked for: a program that renames itself for ``ps`` writes over its environment.
"""

from pathlib import Path

import psutil

from services.embedded.environment import MARK

HERE = "here"  # in <home>/run; nobody else has a reason to be there


def processes_of(home: Path) -> list[psutil.Process]:
    """Give the living processes of this home's platform, without ourselves."""
    found = []
    here = str(home / "run" / HERE)
    for process in psutil.process_iter():
        try:
            belongs = process.cwd() == here or process.environ().get(MARK) == str(home)
        except (psutil.NoSuchProcess, psutil.AccessDenied):  # gone, or somebody else's
            continue
        if belongs and process.pid != psutil.Process().pid:
            found.append(process)
    return found


def end(home: Path, patience: float) -> list[int]:
    """Ask the platform's processes to end, make them after `patience` seconds; give their ids."""
    ended = []
    for ask in (psutil.Process.terminate, psutil.Process.kill):
        found = processes_of(home)
        ended += [process.pid for process in found]
        for process in found:
            try:
                ask(process)
            except psutil.NoSuchProcess:
                continue
        if not psutil.wait_procs(found, timeout=patience)[1] and not processes_of(home):
            break
    return sorted(set(ended))
