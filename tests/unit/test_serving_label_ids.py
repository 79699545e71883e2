"""Ids of labels: a request's, or a row's of a request; what is neither is refused by name."""

import pytest

from monitoring.prediction_log.ids import key_and_row, key_of
from services.serving.errors import RequestError
from services.serving.http.endpoints.labels import GivenLabel, _checked


@pytest.mark.parametrize("name", ["a", "a/0", "a/99999", "a/b", "a/b/4294967295"])
def test_a_request_or_a_row_of_it_is_labelled(name: str) -> None:
    assert _checked(GivenLabel(name, 1), 0).id == name


@pytest.mark.parametrize(
    "name", ["a/" + "1" * 5000, "a/" + "0" * 11, "a/\u0661", "a/\u00b2", "a/1/1", "/1", "a\n"]
)
def test_what_ends_like_a_row_and_is_none_is_refused(name: str) -> None:
    with pytest.raises(RequestError) as refusal:
        _checked(GivenLabel(name, 1), 0)
    assert (refusal.value.status, refusal.value.field) == (400, "id")
    assert len(refusal.value.message) < 300


def test_the_log_is_asked_for_an_endless_number_in_vain() -> None:
    name = "a/" + "1" * 5000
    assert key_and_row(name) == (key_of(name, 1), 0)
