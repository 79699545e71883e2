"""The flavours of an MLmodel in, why loading it could run code that the model stores out.

Pickles, `code` folders and loaders of a model's own run whatever their author wrote. Of all that is
not ONNX only scikit-learn in the skops format is data and no code, unless the model itself says
which types to trust: https://skops.readthedocs.io/en/stable/persistence.html
What is not known to be safe is not.
"""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

_PLAIN_KEYS = {"env", "loader_module", "model_path", "predict_fn", "python_version"}
_PREDICTS = {"predict", "predict_proba", "predict_log_proba"}


def reason_to_distrust(flavors: Mapping[str, Any]) -> str | None:
    """Say what could run code; None where nothing can."""
    pyfunc, sklearn = flavors["python_function"], flavors.get("sklearn") or {}
    if pyfunc.get("loader_module") != "mlflow.sklearn":
        return f"loader_module {pyfunc.get('loader_module')!r} may run code that the model stores"
    if sklearn.get("serialization_format") != "skops":
        return f"serialization_format {sklearn.get('serialization_format')!r} is code, not data"
    if types := sklearn.get("skops_trusted_types"):
        return f"the model itself says which types to trust: {types}"
    keys = {key for key, value in pyfunc.items() if value is not None} - _PLAIN_KEYS
    if keys or sklearn.get("code") is not None:  # `data` leads to another MLmodel, `code` to code
        return f"python_function has {sorted(keys) or ['code']}, which plain models have not"
    if pyfunc.get("predict_fn", "predict") not in _PREDICTS:
        return f"predict_fn {pyfunc['predict_fn']!r} is none of {sorted(_PREDICTS)}"
    path = str(pyfunc.get("model_path"))
    return None if PurePath(path).name == path else f"model_path {path!r} leaves the model's folder"
