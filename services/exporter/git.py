"""A git command's arguments in, what it prints out, or `SourceAwayError`, in time."""

import os
import signal
import subprocess

from services.exporter.source import SourceAwayError


def git(command: str, *arguments: str, seconds: float, repository: str = "") -> str:
    """Run a git command in a repository, where it needs one; what helps it ends with it."""
    inside = [f"--git-dir={repository}"] if repository else []
    with subprocess.Popen(
        ["git", *inside, command, *arguments],
        env=os.environ | {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"},  # nobody is there to answer
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        try:
            said, error = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as late:
            os.killpg(process.pid, signal.SIGKILL)
            raise SourceAwayError(f"git {command} has not ended in {seconds:g} s") from late
    if process.returncode:
        raise SourceAwayError(f"git {command}: {' '.join(error.split())}")
    return said
