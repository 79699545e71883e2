"""``open_inference.proto`` in, the Python of its messages beside it out: ``make proto``."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

_HERE = Path(__file__).parent
_PROTO = "open_inference.proto"
_MADE = ("open_inference_pb2.py", "open_inference_pb2.pyi")
_NOT_OURS_TO_SHAPE = '# ruff: noqa\n# fmt: off\n# mypy: disable-error-code="type-arg"\n'
_SHARED_POOL = "_descriptor_pool.Default()"
# Clients of the protocol bring their own copy of these messages, of which the pool that a process
# shares takes one alone.
_OWN_POOL = "_descriptor_pool.DescriptorPool()"


def generate() -> dict[str, str]:
    """Give each file's text by its name."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{_HERE}"]
        command += [f"--python_out={folder}", f"--pyi_out={folder}", _PROTO]
        subprocess.run(command, check=True)
        texts = {name: (Path(folder) / name).read_text() for name in _MADE}
    return {
        name: _NOT_OURS_TO_SHAPE + text.replace(_SHARED_POOL, _OWN_POOL)
        for name, text in texts.items()
    }


def main() -> None:
    """Write the files."""
    for name, text in generate().items():
        (_HERE / name).write_text(text)


if __name__ == "__main__":
    main()
