"""What the install says before it begins, and where it takes torch from."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from services.embedded import install
from services.embedded.install import LOCKS, missing, stamp_of, torch_flags

GIT = {"git": True}


def test_a_machine_with_all_lacks_nothing() -> None:
    assert missing((3, 11), GIT, has_venv=True) == []


def test_another_python_is_named_with_the_way_out() -> None:
    (said,) = missing((3, 13), GIT, has_venv=True)
    assert "3.13" in said
    assert "apt install python3.11" in said


def test_all_that_lacks_is_said_at_once() -> None:
    said = missing((3, 11), {"git": False}, has_venv=False)
    assert len(said) == 2
    assert "python3.11-venv" in said[0]
    assert "apt install git" in said[1]


def test_torch_comes_from_a_folder_that_has_its_wheel(tmp_path: Path) -> None:
    (tmp_path / "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl").touch()
    for variable in ("PIP_FIND_LINKS", "UV_FIND_LINKS"):
        flags = torch_flags({variable: f"/nowhere {tmp_path}"}, "2.13.0")
        assert flags == ["--find-links", "/nowhere", "--find-links", str(tmp_path)]


@pytest.mark.parametrize("links", ["", "/nowhere"])
def test_torch_comes_from_the_cpu_index_otherwise(links: str) -> None:
    flags = torch_flags({"PIP_FIND_LINKS": links}, "2.13.0")
    assert flags[-2:] == ["--torch-backend", "cpu"]


def test_another_version_in_the_folder_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "torch-2.12.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl").touch()
    assert "--torch-backend" in torch_flags({"PIP_FIND_LINKS": str(tmp_path)}, "2.13.0")


def test_a_gpu_machine_may_ask_for_its_own_build(tmp_path: Path) -> None:
    (tmp_path / "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl").touch()
    environ = {"PIP_FIND_LINKS": str(tmp_path), "RELAY_TORCH_BACKEND": "auto"}
    assert torch_flags(environ, "2.13.0")[-2:] == ["--torch-backend", "auto"]


def test_the_locks_are_whole_and_hold_no_cuda() -> None:
    for lock in LOCKS.glob("*.txt"):
        text = lock.read_text()
        pins = re.findall(r"^([a-z0-9._\-\[\],]+)==", text, re.M)
        assert pins, lock
        assert len(re.findall(r"^\S.*\\\n +--hash=sha256:", text, re.M)) == len(pins), lock
        assert "triton" not in pins, lock  # CUDA's compiler; tritonclient speaks to a server
        assert not [pin for pin in pins if pin.startswith(("nvidia", "cuda"))], lock
        assert "://" not in text, lock
    assert (LOCKS / "torch.txt").read_text().startswith("torch==2.13.0+cpu")


@pytest.mark.skipif(
    os.environ.get("RELAY_TORCH_BACKEND", "cpu") != "cpu", reason="another torch was asked for"
)
def test_the_installed_torch_is_the_cpu_one() -> None:
    listed = subprocess.run(
        [sys.executable, "-c", "import importlib.metadata as m; print(m.version('torch'));"
         "print([d.name for d in m.distributions() if d.name.lower().startswith('nvidia')])"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert listed.stdout.split() == ["2.13.0+cpu", "[]"]


def test_a_stamp_changes_with_any_lock_and_any_fact(tmp_path: Path) -> None:
    lock = tmp_path / "a.txt"
    lock.write_text("a==1")
    before = stamp_of([lock], "cpu")
    assert stamp_of([lock], "cpu") == before
    assert stamp_of([lock], "auto") != before
    lock.write_text("a==2")
    assert stamp_of([lock], "cpu") != before


def test_a_half_finished_environment_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "ROOT", tmp_path)
    half = tmp_path / "env/lib/half-written"
    half.parent.mkdir(parents=True)
    half.touch()
    install.make("env", "stamp", [])
    assert not half.exists()
    python = tmp_path / "env/bin/python"
    born = python.lstat().st_mtime_ns
    install.make("env", "stamp", [])
    assert python.lstat().st_mtime_ns == born


def test_a_moved_environment_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old").mkdir()
    monkeypatch.setattr(install, "ROOT", tmp_path / "old")
    install.make("env", "stamp", [])
    (tmp_path / "old/env/bin/script").write_text(f"#!{tmp_path}/old/env/bin/python\n")
    (tmp_path / "old").rename(tmp_path / "new")
    monkeypatch.setattr(install, "ROOT", tmp_path / "new")
    install.make("env", "stamp", [])
    assert not (tmp_path / "new/env/bin/script").exists()


def test_a_failing_step_leaves_no_stamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "ROOT", tmp_path)
    monkeypatch.setattr(install, "UV", Path("/bin/false"))
    with pytest.raises(install.InstallError, match="make install"):
        install.make("env", "stamp", [["pip", "sync"]])
    assert not (tmp_path / "env/relay-stamp").exists()


def test_a_bare_old_python_gets_a_sentence_and_no_trace() -> None:
    python = Path("/usr/bin/python3")
    if not python.exists():
        pytest.skip("this machine has no python of its own")
    source = "import sys; sys.version_info = (3, 9, 2, 'final', 0); sys.argv = ['install']\n"
    source += "import runpy; runpy.run_module('services.embedded.install', run_name='__main__')"
    done = subprocess.run(
        [python, "-c", source], cwd=LOCKS.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Python 3.11 (this is 3.9)" in done.stderr
    assert "Traceback" not in done.stderr


def test_serving_is_installed_without_what_trains() -> None:
    pins = re.findall(r"^([a-z0-9._-]+)==", (LOCKS / "serving.txt").read_text(), re.M)
    assert {"granian", "onnxruntime"} <= set(pins)
    assert not {"torch", "mlflow", "mlflow-skinny", "pandas", "pyarrow"} & set(pins)
