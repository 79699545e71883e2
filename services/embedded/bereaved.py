"""supervisord's events in; the children that a dead program left behind are ended.

MLflow's server is a child of ``mlflow server``, Airflow's workers are children of the scheduler:
were the parent alone killed, such a child would keep the port from the next one.
supervisord runs this as an event listener: http://supervisord.org/events.html. A program begins its
own process group, so the group bears the dead program's id.
"""

import os
import signal
from contextlib import suppress

from supervisor import childutils


def main() -> None:
    """End the group of each program that has exited, until supervisord ends us."""
    while True:
        _, payload = childutils.listener.wait()
        group = int(childutils.get_headers(payload)["pid"])
        with suppress(ProcessLookupError):  # it left nobody behind
            os.killpg(group, signal.SIGKILL)
        childutils.listener.ok()


if __name__ == "__main__":
    main()
