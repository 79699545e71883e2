"""A name in, the folder of a new model out: a tiny one that works, to be filled in.

What is written is ``template/``, with the name for ``$name``. It lies a folder deeper than models
do, so nobody takes it for one.
"""

import keyword
import re
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory

from pipelines.exits import Refused
from pipelines.models import FOLDER

TEMPLATE = Path(__file__).parent / "template"
LONGEST = 40  # it is a part of file names, of DAGs' names and of labels
RESERVED = {"all", "none", "relay"}  # they would read as something else where models are named


def create(name: str, folder: Path = FOLDER) -> Path:
    """Write ``<folder>/<name>/``, whole or not at all, and return it.

    Raises:
        Refused: no model can be called that, the name is taken, or the folder cannot be written.

    """
    if fault := fault_of(name, folder):
        raise Refused(f"{name!r} cannot be a model's name: {fault}")
    target = folder / name
    try:
        with TemporaryDirectory(prefix=".new-", dir=folder) as aside:
            part = Path(aside) / name
            part.mkdir()
            for file in sorted(path for path in TEMPLATE.iterdir() if path.is_file()):
                text = Template(file.read_text(encoding="utf-8")).substitute(name=name)
                (part / file.name).write_text(text, encoding="utf-8")
            part.rename(target)
    except OSError as error:
        raise Refused(f"{target} cannot be written: {error}") from error
    return target


def fault_of(name: str, folder: Path = FOLDER) -> str:
    """Say why no new model can have this name; empty if one can."""
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        return "it is a Python package: lower-case letters, digits and _, a letter first"
    if len(name) > LONGEST:
        return f"it has {len(name)} characters, at most {LONGEST} are read with ease"
    if keyword.iskeyword(name) or name in RESERVED:
        return "the word is reserved: take another, such as what a row is (visits, orders)"
    taken = [path.name for path in folder.iterdir() if path.name.partition(".")[0] == name]
    return f"pipelines/{taken[0]} is there already" if taken else ""
