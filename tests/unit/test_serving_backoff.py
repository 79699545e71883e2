"""When what failed may be tried again."""

from services.serving.versions.backoff import Backoff
from tests.programs import wait_for


def test_waits_double_up_to_the_longest_and_another_version_need_not_wait() -> None:
    backoff = Backoff(first_seconds=60, most_seconds=200)
    assert backoff.may_try("champion", "1")
    assert [backoff.failed("champion", "1") for _ in range(4)] == [60, 120, 200, 200]
    assert not backoff.may_try("champion", "1")
    assert backoff.may_try("champion", "2")
    assert backoff.may_try("challenger", "1")
    assert backoff.failed("champion", "2") == 60
    backoff.forget("champion")
    assert backoff.may_try("champion", "2")


def test_it_may_be_tried_when_the_wait_is_over() -> None:
    backoff = Backoff(first_seconds=0.5, most_seconds=200)
    backoff.failed("champion", "1")
    assert not backoff.may_try("champion", "1")
    wait_for(lambda: backoff.may_try("champion", "1"), "the end of the wait")
