import hashlib
from pathlib import Path

from tests.programs import ROOT

PAGE = ROOT / "services" / "page"
VENDOR = PAGE / "static" / "vendor"


def test_what_is_not_ours_is_what_was_published() -> None:
    lines = [line.split() for line in (VENDOR / "SHA256SUMS").read_text().splitlines()]
    sums = {name: told for told, name in lines}
    assert sums == {name: hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() for name in sums}
    others = {path.name for path in VENDOR.iterdir()} - sums.keys()
    assert others == {"SHA256SUMS", "README.md"}


def test_its_version_and_licence_are_told() -> None:
    assert "(v1.6.32)" in (VENDOR / "uPlot.esm.js").read_text()[:1000]
    assert "| 1.6.32 | MIT" in (VENDOR / "README.md").read_text()
    assert "MIT" in (VENDOR / "uPlot.LICENSE").read_text()


def test_no_page_has_what_the_content_security_policy_forbids() -> None:
    for path in (PAGE / "templates").iterdir():
        text = path.read_text()
        assert "<style" not in text, path
        assert " style=" not in text, path
        assert " on" not in {part[:3] for part in text.split("<")}, path
        assert all('src="/static/' in part for part in text.split("<script")[1:]), path


def test_ours_reads_no_html_and_runs_no_text() -> None:
    forbidden = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(")
    for path in ours():
        assert not [word for word in forbidden if word in path.read_text()], path


def test_nothing_is_fetched_from_elsewhere() -> None:
    for path in [*ours(), *(PAGE / "static").glob("*.css"), *(PAGE / "templates").iterdir()]:
        text = path.read_text().replace("http://www.w3.org/", "")  # a namespace
        assert "http://" not in text, path
        assert "https://" not in text, path


def ours() -> list[Path]:
    return [path for path in (PAGE / "static").rglob("*.js") if path.parent != VENDOR]
