"""``pyproject.toml`` and ``locks/airflow.in`` in; the hash-pinned files of ``locks/`` out.

``make lock`` runs this after a dependency was changed. torch has a lock of its own, because where
it comes from depends on the machine (see ``install.torch_flags``).
"""

import os
import re
import subprocess

from services.embedded.install import LOCKS, ROOT, UV, make_uv, torch_flags

PINNED = re.compile(r"^(?P<pin>torch==\S+) \\\n(?P<hashes>(?: +--hash=\S+(?: \\)?\n)+)", re.M)


def compiled(source: str, *arguments: str) -> str:
    """Resolve requirements (a file's name, or text after ``-``) to pins with hashes."""
    command = [str(UV), "pip", "compile", "--quiet", "--python-version", "3.11", "--upgrade"]
    command += ["--generate-hashes", "--no-emit-index-url", "--no-header", "--no-annotate"]
    name, stdin = ("-", source[1:]) if source.startswith("-") else (source, "")
    command += [*arguments, name]
    done = subprocess.run(
        command, cwd=ROOT, input=stdin, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"uv could not resolve {source}:\n{done.stderr}")
    return done.stdout


def torch_lock(found: re.Match[str], before: str) -> str:
    """Write torch's pin; keep the hashes of wheels that only other indexes and machines have."""
    hashes = set(re.findall(r"--hash=\S+", found["hashes"]))
    if before.startswith(f"{found['pin']} "):
        hashes |= set(re.findall(r"--hash=\S+", before))
    return " \\\n    ".join([found["pin"], *sorted(hashes)]) + "\n"


def main() -> None:
    """Write every lock anew."""
    make_uv()
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.findall(r"torch==([\d.]+)", project)[0]
    ours = compiled(
        "pyproject.toml", "--all-extras", "--group", "dev", *torch_flags(os.environ, version)
    )
    found = PINNED.search(ours)
    if not found:
        raise SystemExit("torch is not among what pyproject.toml asks for")
    torch = LOCKS / "torch.txt"
    before = torch.read_text(encoding="utf-8") if torch.exists() else ""
    torch.write_text(torch_lock(found, before), encoding="utf-8")
    (LOCKS / "relay.txt").write_text(PINNED.sub("", ours), encoding="utf-8")
    serving = compiled("pyproject.toml", "--extra", "serving", "--constraint", "locks/relay.txt")
    (LOCKS / "serving.txt").write_text(serving, encoding="utf-8")
    image = compiled(
        "locks/pipelines.in",
        *("pyproject.toml", "--extra", "pipelines", "--extra", "page", "--extra", "s3"),
        *("--constraint", "locks/relay.txt", *torch_flags(os.environ, version)),
    )
    (LOCKS / "pipelines.txt").write_text(PINNED.sub("", image), encoding="utf-8")
    (LOCKS / "airflow.txt").write_text(compiled("locks/airflow.in"), encoding="utf-8")
    (LOCKS / "build.txt").write_text(compiled("-setuptools"), encoding="utf-8")
    (LOCKS / "uv.txt").write_text(compiled("-uv"), encoding="utf-8")


if __name__ == "__main__":
    main()
