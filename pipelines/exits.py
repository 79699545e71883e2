"""How a step ends when it does not end well, as exceptions and as exit codes.

Airflow reads the exit code: a refusal fails the run and is not tried again (its data would not have
changed), nothing to do skips what follows, anything else is tried again.
"""

FAILED = 1
REFUSED = 65  # EX_DATAERR of sysexits(3)
NOTHING_TO_DO = 99  # what Airflow's BashOperator skips on by default


class Refused(Exception):  # noqa: N818  a gate's answer, not a fault
    """A gate said no and has written why; the message is for the person who reads the log."""


class NothingToDo(Exception):  # noqa: N818
    """There is no work here, or not yet; the message says what would change that."""


class Unavailable(Exception):  # noqa: N818
    """Another program does not answer or does not hold what was asked for; try again."""
