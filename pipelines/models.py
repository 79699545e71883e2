"""A model's name in, its folder out: the policy, the feed, the rows and the network.

Adding a model is adding a folder ``pipelines/<name>/``; nothing else lists the models.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from pipelines.policy import Policy, PolicyError, read

FOLDER = Path(__file__).parent


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
        """What rows mean: ``label(batch)``, ``label_time(batch)``."""
        return import_module(f"pipelines.{self.name}.rows")

    @property
    def network(self) -> ModuleType:
        """The network and its hyper-parameters."""
        return import_module(f"pipelines.{self.name}.network")


def names() -> list[str]:
    """List the models: the folders that hold a ``params.yaml``."""
    return sorted(path.parent.name for path in FOLDER.glob("*/params.yaml"))


def load(name: str) -> Model:
    """Load one model; raise ``PolicyError`` if there is none or its policy is wrong."""
    if name not in names():
        raise PolicyError(f"model {name!r} is not known; there are: {', '.join(names())}")
    policy = read(FOLDER / name / "params.yaml")
    if policy.model != name:
        raise PolicyError(f"pipelines/{name}/params.yaml: model is {policy.model!r}, not {name!r}")
    return Model(name, policy)
