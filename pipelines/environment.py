"""What a run ran on: the code's commit, the versions, the machine; facts for its record."""

import hashlib
import os
import platform
import subprocess
import sys
from importlib.metadata import distributions, version
from pathlib import Path

from pipelines.settings import Settings

LIBRARIES = ("torch", "onnx", "onnxruntime", "scikit-learn", "numpy", "pandas", "mlflow", "dvc")


_ROOT = Path(__file__).parents[1]
_ROOMS = ("pipelines", "monitoring")  # whose code a training runs


def code_commit(settings: Settings, root: Path = _ROOT) -> str:
    """Return the commit of this code, with ``+dirty`` if files differ; RELAY_CODE_COMMIT wins.

    A file of a training's rooms that git has never been told of makes a difference, too.
    """
    if settings.code_commit:
        return settings.code_commit
    git = ["git", "-C", str(root)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if head.returncode:
        return "unknown"
    asked = (["--untracked-files=no"], ["--", *_ROOMS])
    changed = [
        subprocess.run(
            [*git, "status", "--porcelain", *each], capture_output=True, text=True, check=False
        )
        for each in asked
    ]
    return head.stdout.strip() + ("+dirty" if any(each.stdout.strip() for each in changed) else "")


def code_sha256(model: str, root: Path = _ROOT) -> str:
    """Return the hash of a training's code, committed or not: of all but other models' folders."""
    folders = ("pipelines", "pipelines/steps", f"pipelines/{model}", "monitoring")
    found = hashlib.sha256()
    for path in sorted(path for folder in folders for path in (root / folder).glob("*.py")):
        found.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()


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
