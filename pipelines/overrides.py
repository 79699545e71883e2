"""What is said of a training beside its policy, over what the policy says."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from pipelines import torchrun
from pipelines.exits import Refused
from pipelines.policy import Train, faults


def change(params: Train, overrides: Mapping[str, Any]) -> Train:
    """Return the parameters with some of them changed; raise Refused if no policy may be so."""
    try:
        return Train.model_validate(_merged(params.model_dump(), overrides))
    except ValidationError as error:
        raise Refused(f"train cannot be run so: {faults(error)}") from error


def launched(params: Train) -> dict[str, Any]:
    """Return how many processes torchrun has started, so that the record is true."""
    if not torchrun.launched():
        return {}
    return {"scale": params.scale.model_copy(update={"processes": torchrun.size()}).model_dump()}


def nested(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """Put values by dotted names into mappings: ``{"network.hidden": 64}`` into ``network``."""
    found: dict[str, Any] = {}
    for name, value in dotted.items():
        *above, last = name.split(".")
        place = found
        for key in above:
            place = place.setdefault(key, {})
        place[last] = value
    return found


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Put new values over old ones; mappings within mappings alike."""
    within = {
        key: _merged(old[key], value)
        for key, value in new.items()
        if isinstance(value, Mapping) and isinstance(old.get(key), Mapping)
    }
    return {**old, **new, **within}
