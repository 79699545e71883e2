"""A model's name in, its folder out: the policy, the feed, the rows and the network.

Adding a model is adding a folder ``pipelines/<name>/``; nothing else lists the models.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from monitoring.problems import PROBLEMS, Problem
from pipelines.policy import Policy, PolicyError, read

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from pipelines.baselines import Baseline
    from pipelines.features import Encoder
    from pipelines.onnx_graph import Companion

FOLDER = Path(__file__).parent
LABEL = "label"


class NoModelError(PolicyError):
    """There is no folder of this name; the message says which there are."""


@dataclass(frozen=True)
class Model:
    """One model's folder; ``feed``, ``rows`` and ``network`` are imported when first asked for."""

    name: str
    policy: Policy

    @property
    def feed(self) -> ModuleType:
        """The outside world: ``batch_names()``, ``read_batch(name)``."""
        return import_module(f"pipelines.{self.name}.feed")

    @property
    def rows(self) -> ModuleType:
        """What rows mean: ``label(batch)``, ``label_time(batch)``; none where nothing is told."""
        return import_module(f"pipelines.{self.name}.rows")

    @property
    def network(self) -> ModuleType:
        """The network: ``Hyperparameters``, ``Encoder``, ``build(hyper, encoder, inputs)``.

        ``Encoder`` is a ``pipelines.features.Encoder``. ``build`` makes an ``nn.Module`` for the
        training rows' inputs, of which it may take statistics. Its ``forward(**inputs)`` gives what
        ``pipelines.losses`` takes, its ``answer(**inputs)`` the graph's outputs by name: those of
        the policy's ``problem`` (``monitoring.problems``), and those that ``outputs`` names. Where
        the policy names ``companions``, ``companions(network, encoder)`` makes them, by name: a
        ``pipelines.onnx_graph.Companion`` each.
        """
        return import_module(f"pipelines.{self.name}.network")

    @property
    def baselines(self) -> "Mapping[str, Baseline]":
        """What the network must beat: the folder's own ``baselines.py``, or the shared ones."""
        from pipelines.baselines import BASELINES

        if not (FOLDER / self.name / "baselines.py").exists():
            return BASELINES
        own: dict[str, Baseline] = import_module(f"pipelines.{self.name}.baselines").BASELINES
        return BASELINES | own

    @property
    def drifts(self) -> "Mapping[str, Callable[[pd.DataFrame], pd.DataFrame]]":
        """What may happen to its rows, by name: ``DRIFTS`` of the folder's ``drifts.py``, if any.

        Each takes a batch and gives it as it is then; the simulator brings it about.
        """
        if not (FOLDER / self.name / "drifts.py").exists():
            return {}
        known: dict[str, Callable[[pd.DataFrame], pd.DataFrame]]
        known = import_module(f"pipelines.{self.name}.drifts").DRIFTS
        return known

    @property
    def registered(self) -> list[str]:
        """The names in MLflow's registry, and so of what serving answers and logs."""
        return [self.name, *(f"{self.name}-{companion}" for companion in self.policy.companions)]

    def companions(self, network: "nn.Module", encoder: "Encoder") -> "dict[str, Companion]":
        """Make the graphs of a trained network that the policy names beside its own, by name."""
        names = self.policy.companions
        made = self.network.companions(network, encoder) if names else {}
        return {name: made[name] for name in names}

    @property
    def problem(self) -> Problem:
        """What the answers mean, by the policy's ``problem``."""
        return PROBLEMS[self.policy.problem]

    def labelled(self, rows: "pd.DataFrame") -> "pd.DataFrame":
        """Add the column ``label``, and leave out the rows that have none.

        Where nobody tells a label (``density``) the row itself came true: all have 0.
        """
        if not self.problem.labelled:
            return rows.assign(**{LABEL: 0.0})
        return rows.assign(**{LABEL: self.rows.label(rows)}).dropna(subset=[LABEL])


def names() -> list[str]:
    """List the models: the folders that hold a ``params.yaml``."""
    return sorted(path.parent.name for path in FOLDER.glob("*/params.yaml"))


def load(name: str) -> Model:
    """Load one model; raise ``NoModelError`` if there is none, ``PolicyError`` if it is wrong."""
    if name not in names():
        raise NoModelError(f"there is no model {name!r}; there are: {', '.join(names())}")
    policy = read(FOLDER / name / "params.yaml")
    if policy.model != name:
        raise PolicyError(f"pipelines/{name}/params.yaml: model is {policy.model!r}, not {name!r}")
    return Model(name, policy)
