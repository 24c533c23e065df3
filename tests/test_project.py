"""The project's own files fit together: one version, links that lead somewhere, tiers of tests, commands as pages state them."""

import re
import tomllib
from pathlib import Path

import pytest

import tacit
from tests.helpers.settings import COLLECTED

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("changes/*.md")])
SKETCHES = {"docs/contributing/protocol.md", "docs/contributing/source.md", "docs/contributing/gadget.md"}
"""Pages that name files which a reader is to write."""


def read(name):
    return (ROOT / name).read_text()


def test_the_version_is_in_one_place():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    assert "version" not in project and "version" in project["dynamic"]
    assert tomllib.loads(read("Cargo.toml"))["workspace"]["package"]["version"] == tacit.__version__
    for crate in ROOT.glob("crates/*/Cargo.toml"):
        assert tomllib.loads(crate.read_text())["package"]["version"] == {"workspace": True}


def test_ci_runs_the_readmes_test_command():
    steps = [line for line in read(".ci/run").splitlines() if line.startswith("make ")]
    assert steps[-1] == "make test"
    assert re.search(r"^make test\b", read("README.md"), re.MULTILINE)
    assert re.search(r"run: make check$", read(".github/workflows/ci.yml"), re.MULTILINE)


@pytest.mark.quick()
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def test_the_glossary_names_files_that_exist():
    names = re.findall(r"`([\w/]+\.py)`", read("docs/glossary.md"))
    assert names and not [name for name in names if not (ROOT / "python" / "tacit" / name).exists()]


@pytest.mark.quick()
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tests_that_pages_name_exist(page):
    if str(page.relative_to(ROOT)) in SKETCHES:
        return
    for path, function in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?", page.read_text()):
        assert (ROOT / path).exists(), path
        assert not function or f"def {function}(" in read(path), f"{path}::{function}"


def test_every_test_has_a_setting_that_make_test_runs(request):
    """A function is `slow` as a whole, or has a quick setting: `make test` runs a part of each property."""
    settings = {}
    for item in request.config.stash[COLLECTED]:
        settings.setdefault(item.function, []).append(item)
    lost = [
        items[0].nodeid
        for function, items in settings.items()
        if all(i.get_closest_marker("slow") for i in items)
        and not any(mark.name == "slow" for mark in getattr(function, "pytestmark", []))
    ]
    assert not lost
