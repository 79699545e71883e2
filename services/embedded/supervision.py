"""Programs in; a supervisord that keeps them running out. Section names are supervisord's own:
http://supervisord.org/configuration.html.

Each process is started by ``setpriv --pdeathsig``: when what started it dies, however, the kernel
tells it to end. So nothing outlives a killed demo: the supervisor ends, and ends its programs.
"""

import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from services.embedded.programs import Program
from services.embedded.strays import HERE

WITH_PARENT = ("setpriv", "--pdeathsig", "TERM", "--")


class Supervisor:
    """One supervisord, its configuration under ``<home>/run`` and its logs in ``<home>/logs``."""

    def __init__(self, home: Path) -> None:
        self.run, self.logs = home / "run", home / "logs"
        self.socket = self.run / "supervisor.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, programs: Iterable[Program], environment: Mapping[str, str]) -> None:
        """Start supervisord, and with it every program that starts by itself.

        It ends with the thread that called this: call it from the main one.
        """
        for folder in (self.run / "programs", self.run / HERE, self.logs):
            folder.mkdir(parents=True, exist_ok=True)
        self.run.chmod(0o700)
        for old in (self.run / "programs").iterdir():
            old.unlink()
        for program in programs:
            self._write(program)
        configuration = self.run / "supervisord.conf"
        configuration.write_text(render_supervisor(self.run, self.logs), encoding="utf-8")
        command = [str(Path(sys.executable).with_name("supervisord")), "-c", str(configuration)]
        with (self.logs / "supervisord.out").open("wb") as out:
            self.process = subprocess.Popen(
                [*WITH_PARENT, *command],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us, and we tell the supervisor
            )

    def alive(self) -> bool:
        """Say whether supervisord itself runs."""
        return self.process is not None and self.process.poll() is None

    def answers(self) -> bool:
        """Say whether it takes orders yet."""
        try:
            self._api().getState()
        except (ConnectionError, FileNotFoundError):
            return False
        return True

    def begin(self, name: str) -> None:
        """Start a program that does not start by itself."""
        self._api().startProcess(name, False)

    def state(self, name: str) -> dict[str, Any]:
        """Give ``statename``, ``pid``, ``exitstatus``, ``spawnerr``, ... of a program."""
        info: dict[str, Any] = self._api().getProcessInfo(name)
        return info

    def replace(self, program: Program) -> None:
        """Take a program in anew, with another command perhaps; it starts by itself."""
        api = self._api()
        with suppress(Fault):  # it does not run; what follows tells of all else
            api.stopProcess(program.name)
        self._write(program)
        api.reloadConfig()
        with suppress(Fault):  # it was never there
            api.removeProcessGroup(program.name)
        api.addProcessGroup(program.name)

    def stop(self, patience: float) -> None:
        """End every program and then supervisord."""
        if self.process is None:
            return
        with suppress(OSError):  # it may be gone; otherwise all end at once, not one by one
            self._api().stopAllProcesses(False)
        self.process.terminate()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def last_words(self, name: str, lines: int = 15) -> str:
        """Give the end of a program's log."""
        log = self.logs / f"{name}.log"
        text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def _write(self, program: Program) -> None:
        file = self.run / "programs" / f"{program.name}.conf"
        file.write_text(render(program, self.run, self.logs), encoding="utf-8")

    def _api(self) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        return ServerProxy("http://127.0.0.1", transport=transport).supervisor


def render_supervisor(run: Path, logs: Path) -> str:
    """Write supervisord's own part."""
    listener = [*WITH_PARENT, sys.executable, "-m", "services.embedded.bereaved"]
    parts: dict[str, dict[str, object]] = {
        "unix_http_server": {"file": run / "supervisor.sock", "chmod": "0700"},
        "supervisord": {
            "nodaemon": "true",
            "pidfile": run / "supervisord.pid",
            "logfile": logs / "supervisord.log",
            "logfile_maxbytes": "5MB",
            "logfile_backups": "1",
            "childlogdir": logs,
        },
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        },
        "eventlistener:bereaved": {
            "command": shlex.join(listener),
            "events": "PROCESS_STATE_EXITED",
            "directory": run / HERE,
            "stderr_logfile": logs / "bereaved.log",
        },
        "include": {"files": run / "programs/*.conf"},
    }
    return "".join(section(name, values) for name, values in parts.items())


def render(program: Program, run: Path, logs: Path) -> str:
    """Write a program's part: started again when it dies, later each time it dies at once."""
    log = logs / f"{program.name}.log"
    environment = ",".join(f'{name}="{value}"' for name, value in program.environment.items())
    return section(
        f"program:{program.name}",
        {
            "command": shlex.join([*WITH_PARENT, *program.command]),
            "environment": environment,
            "directory": run / HERE,
            "autostart": "false" if program.after else "true",
            "autorestart": str(not program.once).lower(),
            "startsecs": 0 if program.once else 3,
            "startretries": 0 if program.once else 5,
            "stopasgroup": "true",
            "killasgroup": "true",
            "stopwaitsecs": 15,
            "stopsignal": program.stop_signal,
            "redirect_stderr": "true",
            "stdout_logfile": log,
            "stdout_logfile_maxbytes": "10MB",
            "stdout_logfile_backups": "2",
        },
    )


def section(name: str, values: Mapping[str, object]) -> str:
    """Write one section of the file; a percent sign stands for itself."""
    lines = [f"{key} = {str(value).replace('%', '%%')}" for key, value in values.items()]
    return "\n".join([f"[{name}]", *lines, "\n"])
