"""A search for better parameters, kept in a database that several processes share: Optuna.

The only file that touches its SDK (https://optuna.readthedocs.io). A study is known by its name; a
process asks it for a trial, tries, and tells it what came of it.
"""

import logging
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Self

import optuna
from matplotlib.figure import Figure
from optuna.study import Study as OptunaStudy
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url

from pipelines.exits import Refused
from pipelines.policy import Choice, Range
from pipelines.settings import Settings

log = logging.getLogger(__name__)
optuna.logging.set_verbosity(optuna.logging.WARNING)

Space = Mapping[str, Range | Choice]
Chosen = dict[str, Any]  # parameters by dotted names, as in the space
Objective = Callable[["Trial"], float | None]

HEARTBEAT, SILENCE = 30, 120  # seconds: one that is silent for so long was killed


class Trial:
    """One choice of parameters, and what is told of it while it is tried."""

    def __init__(self, trial: optuna.Trial, space: Space) -> None:
        self._trial = trial
        self.number = trial.number
        self.chosen = {name: _suggest(trial, name, given) for name, given in space.items()}

    def hopeless(self, score: float, epoch: int) -> bool:
        """Report an epoch's score, lower is better; True if the median of the others is better."""
        self._trial.report(score, epoch)
        return self._trial.should_prune()

    def note(self, key: str, value: str) -> None:
        """Keep a word beside the trial."""
        self._trial.set_user_attr(key, value)


class Study:
    """One study in the installation's database."""

    def __init__(self, study: OptunaStudy) -> None:
        self._study = study
        self.name = study.study_name
        self.notes: dict[str, str] = study.user_attrs

    @classmethod
    def begin(cls, name: str, settings: Settings, today: Chosen, notes: Mapping[str, str]) -> Self:
        """Make a study, or find it; its first trial is what is trained with today."""
        study = optuna.create_study(
            study_name=name, storage=_storage(settings), direction="minimize", load_if_exists=True
        )
        if not study.user_attrs:
            study.enqueue_trial(today)
            for key, value in notes.items():
                study.set_user_attr(key, value)
        return cls(study)

    @classmethod
    def find(cls, name: str, settings: Settings) -> Self:
        """Return the study of this name; raise Refused if there is none."""
        try:
            return cls(optuna.load_study(study_name=name, storage=_storage(settings)))
        except KeyError as error:
            raise Refused(f"there is no study {name!r}: relay tune begins one") from error

    def run(self, objective: Objective, space: Space, seed: int) -> FrozenTrial:
        """Try once. A trial that crashes is a failed trial; one that gives None is pruned.

        ``seed`` must differ between the trials of a study, or some would be the same.
        """

        def tried(trial: optuna.Trial) -> float:
            score = objective(Trial(trial, space))
            if score is None:
                raise optuna.TrialPruned
            return score

        ended: list[FrozenTrial] = []
        self._study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=6)
        self._study.pruner = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1)
        self._study.optimize(
            tried, n_trials=1, catch=Exception, callbacks=[lambda _, trial: ended.append(trial)]
        )
        return ended[0]

    def best(self) -> FrozenTrial:
        """Return the trial with the lowest score; raise Refused if none came to its end."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            optuna.storages.fail_stale_trials(self._study)
        if not self._study.get_trials(states=[TrialState.COMPLETE]):
            raise Refused(f"no trial of {self.name} came to its end: {self.states()}")
        return self._study.best_trial

    def states(self) -> dict[str, int]:
        """Count the trials by how they ended: complete, pruned, fail; running, waiting."""
        found = [trial.state.name.lower() for trial in self._study.get_trials(deepcopy=False)]
        return {state: found.count(state) for state in sorted(set(found))}

    def figures(self) -> dict[str, Figure]:
        """Draw how the search went, and which parameters mattered if that can be told."""
        drawn: dict[str, Callable[[OptunaStudy], Any]] = {}
        drawn["history.png"] = optuna.visualization.matplotlib.plot_optimization_history
        scores = {trial.value for trial in self._study.get_trials(states=[TrialState.COMPLETE])}
        if len(scores) > 1:
            drawn["importance.png"] = optuna.visualization.matplotlib.plot_param_importances
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they are experimental, and warn of it
            figures = {name: draw(self._study).figure for name, draw in drawn.items()}
        for figure in figures.values():
            figure.set_layout_engine("constrained")  # else long names are cut
        return figures


def _suggest(trial: optuna.Trial, name: str, given: Range | Choice) -> Any:
    if isinstance(given, Choice):
        return trial.suggest_categorical(name, given.choices)
    if isinstance(given.low, int) and isinstance(given.high, int):
        return trial.suggest_int(name, given.low, given.high, log=given.log)
    return trial.suggest_float(name, given.low, given.high, log=given.log)


def _storage(settings: Settings) -> optuna.storages.RDBStorage:
    url = make_url(settings.optuna_url)
    if settings.optuna_password_file:
        password = settings.optuna_password_file.read_text(encoding="utf-8").strip()
        url = url.set(password=password)
    waits = {"connect_args": {"timeout": 60}} if url.drivername.startswith("sqlite") else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # the heartbeat
        return optuna.storages.RDBStorage(
            url.render_as_string(hide_password=False),
            engine_kwargs=waits,
            heartbeat_interval=HEARTBEAT,
            grace_period=SILENCE,
        )
