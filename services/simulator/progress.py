"""How far a replay has come: kept in one small file, told in JSON lines."""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self


@dataclass
class Progress:
    """`landed` is the last batch that is done; all before `clock` (event time) is done."""

    landed: str = ""
    clock: str = ""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what was written, or begin."""
        return cls(**json.loads(path.read_text())) if path.exists() else cls()

    def write(self, path: Path) -> None:
        """Replace the file in one go."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(asdict(self)))
        part.rename(path)


def tell(event: str, **fields: Any) -> None:
    """Print one line of JSON."""
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()
