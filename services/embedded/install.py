"""The lock files in; two ready environments out: ``.venv`` (ours), ``.venv-airflow`` (Airflow's).

``make install`` runs this with a bare Python 3.11, so it uses the standard library only. Nothing
changed: half a second. A half-finished install has no stamp and is done again from nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Mapping, Sequence  # noqa: UP035  -- an older Python must get as far as our message

from services.embedded import binaries

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ROOT / "locks"
UV = ROOT / ".venv-uv/bin/uv"
# Pure Python that is published without a wheel; all else must come as one: no compiler is needed.
WHEELS_ONLY = [
    *("--only-binary", ":all:"),
    *(f"--no-binary={name}" for name in (LOCKS / "no-wheels.in").read_text("utf-8").split()),
]
BEGUN = time.monotonic()


class InstallError(Exception):
    """What this machine lacks, and how to get it."""


def missing(version: tuple[int, int], which: Mapping[str, bool], *, has_venv: bool) -> list[str]:
    """Say what must be there before we begin; one line each, with the way out."""
    lacks = []
    if version != (3, 11):
        have = ".".join(map(str, version))
        lacks.append(
            f"Python 3.11 (this is {have}): `sudo apt install python3.11 python3.11-venv`, or "
            "`uv python install 3.11`; then `make install PYTHON=<path of python3.11>`"
        )
    elif not has_venv:
        lacks.append("Python's venv module: `sudo apt install python3.11-venv`")
    if not which.get("git"):
        lacks.append("git, which the data registry is kept in: `sudo apt install git`")
    return lacks


def torch_flags(environ: Mapping[str, str], version: str) -> list[str]:
    """Say where uv shall take torch from: a folder that holds its wheel, or PyTorch's own index.

    The folders are those of ``UV_FIND_LINKS`` and ``PIP_FIND_LINKS`` (uv itself does not read the
    latter). ``RELAY_TORCH_BACKEND`` (``cpu``; or ``auto``, ``cu130``, ...) names PyTorch's index as
    uv does: https://docs.astral.sh/uv/guides/integration/pytorch/.
    """
    places = environ.get("UV_FIND_LINKS", "").replace(",", " ").split()
    places += environ.get("PIP_FIND_LINKS", "").split()
    flags = [flag for place in places for flag in ("--find-links", place)]
    backend = environ.get("RELAY_TORCH_BACKEND", "cpu")
    local = any(list(Path(place).glob(f"torch-{version}*.whl")) for place in places)
    return flags if local and backend == "cpu" else [*flags, "--torch-backend", backend]


def locked_torch() -> str:
    """Give torch's version without its variant: ``2.13.0`` of ``torch==2.13.0+cpu``."""
    line = (LOCKS / "torch.txt").read_text(encoding="utf-8").split(maxsplit=1)[0]
    return line.partition("==")[2].partition("+")[0]


def stamp_of(files: Sequence[Path], *facts: str) -> str:
    """Give the digest that says whether an environment is still what was asked for."""
    digest = hashlib.sha256(repr((str(ROOT), sys.version, *facts)).encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def say(what: str) -> None:
    """Print a line of progress with the seconds since the beginning."""
    sys.stdout.write(f"  {time.monotonic() - BEGUN:6.1f} s  {what}\n")
    sys.stdout.flush()


def run(*command: object, **environ: str) -> None:
    """Run a command before the person's eyes; raise `InstallError` when it fails."""
    words = [str(word) for word in command]
    if subprocess.run(words, cwd=ROOT, env={**os.environ, **environ}, check=False).returncode:
        torch = (
            " Where PyTorch's index cannot be reached, let PIP_FIND_LINKS name a folder with "
            f"torch's wheel ({(LOCKS / 'torch.txt').read_text(encoding='utf-8').split()[0]})."
        )
        raise InstallError(
            f"`{' '.join(words)}` failed, as it says above.{torch * ('--torch-backend' in words)} "
            "Put it right and run `make install` again: it goes on from what is cached."
        )


def uv(*arguments: object) -> None:
    """Run the pinned uv, quietly where nobody watches."""
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    run(UV, *quiet, *arguments, UV_COMPILE_BYTECODE="1")


def make(folder: str, stamp: str, steps: Sequence[Sequence[object]]) -> None:
    """Bring one environment up to its stamp: from nothing if it was never finished, or moved."""
    written, place = ROOT / folder / "relay-stamp", f"{ROOT / folder}\n"
    found = written.read_text(encoding="utf-8") if written.exists() else ""
    if found == place + stamp:
        say(f"{folder} is up to date")
        return
    if not found.startswith(place):  # its scripts begin with the path of a Python elsewhere
        shutil.rmtree(ROOT / folder, ignore_errors=True)
        run(sys.executable, "-m", "venv", "--without-pip", ROOT / folder)
    written.unlink(missing_ok=True)
    say(f"installing {folder} (minutes the first time, seconds from a cache)")
    for step in steps:
        uv(*step, "--python", ROOT / folder)
    written.write_text(place + stamp, encoding="utf-8")
    say(f"{folder} is ready")


def make_uv() -> None:
    """Put the pinned uv, checked by its hash, into a small environment of its own."""
    lock, folder = LOCKS / "uv.txt", ROOT / ".venv-uv"
    written, stamp = folder / "relay-stamp", stamp_of([lock])
    if written.exists() and written.read_text(encoding="utf-8") == stamp:
        return
    say("fetching uv, which installs the rest")
    shutil.rmtree(folder, ignore_errors=True)
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin/pip", "install", "--quiet", "--require-hashes", "-r", lock)
    written.write_text(stamp, encoding="utf-8")


def make_relay() -> None:
    """Build ``.venv``: what the pipelines, the services and their tests need, and ``relay``."""
    locks = [LOCKS / name for name in ("relay.txt", "torch.txt", "build.txt")]
    backend, version = os.environ.get("RELAY_TORCH_BACKEND", "cpu"), locked_torch()
    flags = torch_flags(os.environ, version)
    sync: list[object] = ["pip", "sync", *WHEELS_ONLY, "--build-constraints", locks[2], locks[0]]
    if backend == "cpu":
        steps = [[*sync, locks[1], *flags]]
    else:  # which NVIDIA packages come along is decided by the machine: no lock can know
        steps = [sync, ["pip", "install", f"torch=={version}", *flags]]
    steps.append(["pip", "install", "--no-deps", "--no-build-isolation", "-e", ROOT])
    make(".venv", stamp_of([*locks, ROOT / "pyproject.toml"], backend), steps)


def make_airflow() -> None:
    """Build ``.venv-airflow``: its dependencies and the models' never meet."""
    lock = LOCKS / "airflow.txt"
    make(".venv-airflow", stamp_of([lock]), [["pip", "sync", *WHEELS_ONLY, lock]])


def root_command() -> list[str] | None:
    """Give what makes a command run as root here without asking; None where nothing does."""
    if os.geteuid() == 0:
        return []
    allowed = (
        shutil.which("sudo")
        and not subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode
    )
    return ["sudo", "-n"] if allowed else None


def install_watchers() -> None:
    """Have Debian's Prometheus and Alertmanager put in, said first; or go on without them."""
    lacks = [program for program in binaries.DEBIAN if not binaries.find(program)]
    if not lacks:
        return
    root, packages = root_command(), [binaries.DEBIAN[program] for program in lacks]
    if root is None or not shutil.which("apt-get"):
        say(f"going on without {' and '.join(lacks)}; to have it: `{binaries.apt(lacks)}`")
        return
    say(f"installing Debian's {' and '.join(packages)} with apt-get (programs; no service is left)")
    apt = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-y"]
    try:
        run(*apt, "update")
        run(*apt, "install", "--no-install-recommends", *packages)
    except InstallError as refused:
        say(f"going on without {' and '.join(lacks)}: {refused}")
        return
    if Path("/run/systemd/system").exists():  # a package starts one of its own, on the usual port
        run(*root, "systemctl", "--quiet", "disable", "--now", *packages)


def main() -> int:
    """Install what is missing; 0 when all that is needed is there."""
    programs = {"git": shutil.which("git") is not None}
    has_venv = importlib.util.find_spec("ensurepip") is not None
    lacks = missing(sys.version_info[:2], programs, has_venv=has_venv)
    if lacks:
        sys.stderr.write("Relay needs, and this machine lacks:\n  " + "\n  ".join(lacks) + "\n")
        return 1
    lock = os.open(LOCKS, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two installs at once wait for each other
        make_uv()
        make_relay()
        make_airflow()
        install_watchers()
    except InstallError as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    finally:
        os.close(lock)
    return 0


if __name__ == "__main__":
    sys.exit(main())
