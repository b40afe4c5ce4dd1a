"""What stands beside the package says the same as the package."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import intake_virtualzarr

REPOSITORY = Path(__file__).parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FORMS = sorted((REPOSITORY / ".github/ISSUE_TEMPLATE").glob("*.yml"))


def load(path):
    return yaml.safe_load((REPOSITORY / path).read_text(encoding="utf-8"))


def test_the_citation_names_this_version_and_licence():
    citation = load("CITATION.cff")
    assert citation["version"] == intake_virtualzarr.__version__
    assert citation["license"] == PROJECT["license"]
    assert citation["title"] == PROJECT["name"]
    assert citation["repository-code"] == PROJECT["urls"]["Source"]
    assert citation["keywords"] == PROJECT["keywords"]


def test_hooks_run_what_make_lint_runs():
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^lint:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    (local,) = load(".pre-commit-config.yaml")["repos"]
    hooks = {tuple(hook["entry"].removeprefix(".venv/bin/").split()[:2]) for hook in local["hooks"]}
    assert local["repo"] == "local"
    assert hooks == {tuple(line.strip().removeprefix("$(BIN)/").split()[:2]) for line in recipe.splitlines()}


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_for_issues_has_what_github_asks_for(path):
    form = load(path)
    if path.stem == "config":
        assert all(set(link) == {"name", "url", "about"} for link in form["contact_links"])
        return
    assert form["name"]
    assert form["description"]
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len(set(ids))
    for field in form["body"]:
        assert field["type"] in {"textarea", "input", "dropdown"}
        assert field["attributes"]["label"]
