"""Settings and programs in; every reason why the platform cannot start here out, in plain words."""

import os
import shutil
import socket
from collections.abc import Iterable

import psutil

from services.embedded.programs import Program
from services.embedded.settings import HOST, Embedded

LONGEST_HOME = 70  # supervisord's socket lies under it, and a socket's name has 107 bytes at most


class PlatformError(Exception):
    """The platform cannot do what was asked; the text says why, and the way out."""


def check(settings: Embedded, programs: Iterable[Program]) -> None:
    """Raise one `PlatformError` that names everything in the way at once."""
    reasons = [short_of_disk(settings), long_home(settings), no_airflow(settings)]
    reasons += [taken_port(settings, program) for program in programs if program.listens_as]
    found = [reason for reason in reasons if reason]
    if found:
        raise PlatformError("\n".join(found))


def short_of_disk(settings: Embedded) -> str:
    """Say so when there is less free space than ``min_free_gb``."""
    free = shutil.disk_usage(settings.home).free / 1e9
    if free >= settings.min_free_gb:
        return ""
    return (
        f"{settings.home} has {free:.1f} GB of free space, and the platform wants "
        f"{settings.min_free_gb:g}: free some, or set RELAY_HOME to a folder on another disk "
        "(or RELAY_MIN_FREE_GB lower)"
    )


def long_home(settings: Embedded) -> str:
    """Say so when the supervisor's socket would not fit into a socket's name."""
    length = len(os.fsencode(settings.home))
    if length <= LONGEST_HOME:
        return ""
    return (
        f"the folder {settings.home} has a name of {length} bytes, and a socket in it can have "
        f"{LONGEST_HOME} at most: set RELAY_HOME to a shorter one"
    )


def no_airflow(settings: Embedded) -> str:
    """Say so when Airflow's own environment is not there."""
    if (settings.airflow_environment / "bin/airflow").exists():
        return ""
    return f"Airflow is not in {settings.airflow_environment}: run `make install`"


def taken_port(settings: Embedded, program: Program) -> str:
    """Say which port is taken, by whom if that can be seen, and what to set instead."""
    port = settings.port(program.listens_as)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as refused:
            variable = f"RELAY_{program.listens_as.upper()}_PORT"
            return (
                f"port {port}, wanted by {program.name}, cannot be had ({refused.strerror}; "
                f"{holder(port)}): stop that, or set {variable} to a free one"
            )
    return ""


def holder(port: int) -> str:
    """Name the process that listens at a port, as far as we may see it."""
    for connection in psutil.net_connections("tcp"):
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
        if listens and connection.pid:
            return f"held by {psutil.Process(connection.pid).name()}, process {connection.pid}"
    return "held by a process of somebody else"
