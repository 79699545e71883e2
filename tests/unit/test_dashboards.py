"""How dashboards are put together, and how their queries are read back."""

from typing import Any

import pytest

from grafana import states
from grafana.board import board, shelf
from grafana.panels import now, number
from grafana.queries import fill, panels, queries


def small(title: str) -> Any:
    return number(title, "what to do", now("up"))


def panel(title: str, *expressions: str) -> dict[str, Any]:
    return {"type": "stat", "title": title, "targets": [{"expr": each} for each in expressions]}


def test_a_shelf_is_as_wide_as_the_page() -> None:
    with pytest.raises(ValueError, match="'Top' is 23 wide"):
        shelf(4, (12, small("a")), (11, small("b")), title="Top")


def test_panels_stand_beside_each_other_and_have_ids_in_their_order() -> None:
    made = board(
        "x", "X", "about", shelf(4, (8, small("a")), (16, small("b"))), shelf(3, (24, small("c")))
    )
    places = [
        (each.id_val, each.grid_pos.x, each.grid_pos.y)
        for each in made.panels or []
        if each.grid_pos
    ]
    assert places == [(1, 0, 0), (2, 8, 0), (3, 0, 4)]


def test_queries_are_given_with_their_panels_also_of_closed_rows() -> None:
    closed = {"type": "row", "title": "more", "panels": [panel("inner", "d")]}
    made = {"panels": [panel("a", 'b{m="$model"}', "c[$__rate_interval]"), closed]}
    found = queries(made, {"model": "flights"})
    assert found == [("a", 'b{m="flights"}'), ("a", "c[1m]"), ("inner", "d")]
    assert [each["title"] for each in panels(made)] == ["a", "inner"]


def test_variables_are_filled_in_whatever_their_form() -> None:
    assert fill("$a ${a} ${a:regex} ${a}_x", {"a": "1"}) == "1 1 1 1_x"
    assert fill('label_replace(x, "y", "$1", "z", "(.+)")', {}).count("$1") == 1


def test_a_variable_that_nobody_gave_is_an_error_that_names_it() -> None:
    with pytest.raises(ValueError, match=r"\$version"):
        fill('x{version="$version"}', {"model": "flights"})


def test_the_state_that_holds_is_the_largest_number() -> None:
    expression = states.coded("m", "", "state", {"ok": states.OK, "bad": states.BAD})
    assert expression == '1 * m{state="ok"} or 7 * m{state="bad"}'
    assert max(states.RUNS) == states.BAD
