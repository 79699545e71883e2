"""The champion's training data in, suggested limits for its policy's `monitor:` section out.

Windows of training time stand for windows to come: each is as long as the monitor's and has as many
rows as serving really has in one, and is compared twice, with all other days and with the days
before it. The first says what chance and a changing fortnight do, the second what a trend does.
"""

from collections.abc import Iterator

import pandas as pd
import pyarrow as pa

from monitoring import suggested_limits
from monitoring.results import read_run
from monitoring.sketches import Labels, WindowSketch, hash_ids, sketch_training
from pipelines import asking
from pipelines.exits import NothingToDo, Refused
from pipelines.models import LABEL, Model
from pipelines.settings import Settings
from pipelines.splits import days_before_newest
from pipelines.steps.ingest import data_registry
from pipelines.tracking import CHAMPION, Tracking

APART = 3  # days: no divisor of a week, so that windows end on all of its days


def suggest_limits(
    model: Model, settings: Settings, tracking: Tracking, dataset: str | None, rows: int | None
) -> str:
    """Suggest limits, as YAML, from the champion's training data or another dataset version.

    Args:
        model: whose policy, features and champion.
        settings: where the data registry and the newest check results are.
        tracking: the model registry.
        dataset: a tag, as flights/v3; None: the champion's own.
        rows: of a window; None: as many as the monitor's newest window had, or all there are.

    Raises:
        NothingToDo: nobody is champion yet, so no probability can be compared.
        Refused: the data is too short for two windows, or a check cannot run on it.

    """
    champion = tracking.aliased(model.name, CHAMPION)
    if champion is None:
        raise NothingToDo(f"{model.name} has no champion yet, whose training data could be used")
    registry = data_registry(settings)
    version = registry.get(model.name, dataset or champion.tags["relay.dataset"])
    data = registry.read(version)
    history = days_before_newest(data[model.policy.data.event_time])
    data = data[history < model.policy.train.history_days].reset_index(drop=True)
    answers = asking.columns(asking.predict(tracking.graph(champion), data))
    data = data.assign(**answers, **{LABEL: model.labelled(data)[LABEL]})
    count = rows or newest_rows(model, settings)
    windows = quiet_windows(data, model, count)
    schema, limits = model.policy.watched, model.policy.monitor
    try:
        found = suggested_limits.suggest(windows, schema, limits)
    except ValueError as error:
        raise Refused(f"{version.tag} of {len(data)} rows: {error}") from error
    days = limits.window_days
    source = (
        f"# From {version.tag}, by {champion}: windows of {days} days and "
        f"{count or 'all their'} rows.\n"
        f"# A limit is {suggested_limits.MARGIN:g} x the highest score of the quiet windows, and "
        f"no less than the default.\n# Seasons that this data does not hold are not in it.\n"
    )
    return source + suggested_limits.render(found)


def newest_rows(model: Model, settings: Settings) -> int | None:
    """Return how many rows the monitor's newest window had; None where it has not run."""
    newest = settings.checks / f"{model.name}.json"
    return read_run(newest).rows if newest.exists() else None


def quiet_windows(
    data: pd.DataFrame, model: Model, rows: int | None
) -> Iterator[tuple[WindowSketch, WindowSketch]]:
    """Cut the data into windows, each with its two references.

    They are `APART` days apart. One of more than ``rows`` rows is thinned by chance, the same at
    every call. Yields nothing where the data is shorter than two windows.
    """
    days = model.policy.monitor.window_days
    age = days_before_newest(data[model.policy.data.event_time])
    span = int(age.max()) + 1
    for begin in range(span, days - 1, -APART):
        inside = (age < begin) & (age >= begin - days)
        window = data[inside]
        if rows is not None and len(window) > rows:
            window = window.sample(rows, random_state=0)
        if window.empty:
            continue
        current = _sketch_window(window, model)
        before = age >= begin
        for others in (~inside, before):
            if data.loc[others, model.policy.data.event_time].dt.floor("D").nunique() >= days:
                yield _sketch_reference(data[others], model), current


def _sketch_reference(rows: pd.DataFrame, model: Model) -> WindowSketch:
    return sketch_training(rows, model.policy.watched, model.policy.problem)


def _sketch_window(rows: pd.DataFrame, model: Model) -> WindowSketch:
    data, watched = model.policy.data, model.policy.watched
    names = dict.fromkeys([*watched, *model.problem.outputs])
    answers = rows[list(names)].assign(event_time=rows[data.event_time])
    sketch = WindowSketch.of(watched, model.policy.problem)
    ids = hash_ids([str(each) for each in rows[data.id]])
    sketch.add(pa.RecordBatch.from_pandas(answers, preserve_index=False), ids, Labels([]))
    return sketch
