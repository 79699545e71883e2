"""What a run ran on: the code's commit, the versions, the machine; facts for its record."""

import os
import platform
import subprocess
import sys
from importlib.metadata import distributions, version
from pathlib import Path

from pipelines.settings import Settings

LIBRARIES = ("torch", "onnx", "onnxruntime", "scikit-learn", "numpy", "pandas", "mlflow", "dvc")


def code_commit(settings: Settings) -> str:
    """Return the commit of this code, with ``+dirty`` if files differ; RELAY_CODE_COMMIT wins."""
    if settings.code_commit:
        return settings.code_commit
    root = Path(__file__).parents[1]
    git = ["git", "-C", str(root)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if head.returncode:
        return "unknown"
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--untracked-files=no"],
        capture_output=True,
        text=True,
        check=False,
    )
    return head.stdout.strip() + ("+dirty" if changed.stdout.strip() else "")


def facts() -> dict[str, str]:
    """Return what a run's numbers may depend on, as parameters for its record."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "environment.python": sys.version.split()[0],
        "environment.platform": platform.platform(),
        "environment.cpus": str(os.cpu_count()),
        "environment.gpu": gpu,
    } | {f"environment.{name}": version(name) for name in LIBRARIES}


def requirements() -> str:
    """Return every installed distribution, pinned, one a line."""
    found = {f"{each.name}=={each.version}" for each in distributions()}
    return "\n".join(sorted(found, key=str.lower)) + "\n"
