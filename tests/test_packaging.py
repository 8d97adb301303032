"""What packages, containers and the public CI say of the project is what ``pyproject.toml`` says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml
from conftest import ROOT

import pnp_exclusion

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGING = ROOT / "packaging"
OTHER_NAMES = {"matplotlib-base": "matplotlib", "fenics-dolfinx": "dolfinx-solver-real"}
"""Of the conda packages, where pip has others."""


def needs(lines: list[str]) -> dict[str, str]:
    """Return the versions of requirements by their names."""
    parts = [re.fullmatch(r"([\w-]+)\s*(.*)", line) for line in lines]
    return {OTHER_NAMES.get(part[1], part[1]): part[2].replace(" ", "") for part in parts if part}


def recipe() -> dict:
    return yaml.safe_load((PACKAGING / "recipe.yaml").read_text())


def test_conda_recipe_needs_what_pip_needs():
    given = needs([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["fenicsx"]])
    wanted = needs(recipe()["requirements"]["run"])
    assert wanted.pop("python") == PROJECT["requires-python"]
    assert wanted.pop("c-compiler") == ""
    assert wanted == given


def test_version_and_licence_are_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert pnp_exclusion.__version__ == recipe()["context"]["version"] == citation["version"]
    assert PROJECT["license"] == recipe()["about"]["license"] == citation["license"]
    assert f"## {pnp_exclusion.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_containers_and_ci_install_the_libraries_that_gmsh_leans_on():
    libraries = re.search(r'^packages="(.*)"', (ROOT / "scripts" / "system_libraries.sh").read_text(), re.MULTILINE)
    assert libraries
    for path in (PACKAGING / "Dockerfile", PACKAGING / "apptainer.def", ROOT / ".github" / "workflows" / "ci.yml"):
        assert libraries[1] in path.read_text(), path


def test_ci_and_forms_are_well_formed_and_call_what_there_is():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    steps = [step.get("run", "") for job in jobs.values() for step in job["steps"]]
    called = {target for step in steps for target in re.findall(r"\bmake (\w+)", step)}
    assert {"lint", "test", "env"} <= called <= targets
    for form in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        assert {"name", "description", "body"} <= yaml.safe_load(form.read_text()).keys(), form


def test_entry_point_of_the_recipe_is_that_of_the_wheel():
    (name, target), *others = PROJECT["scripts"].items()
    assert not others
    assert recipe()["build"]["python"]["entry_points"] == [f"{name} = {target}"]


def test_documents_of_a_public_project_are_there_and_linked():
    readme = (ROOT / "README.md").read_text()
    for name in ("CONTRIBUTING.md", "CITATION.cff", "LICENSE", "CHANGELOG.md"):
        assert Path(ROOT / name).exists()
        assert f"]({name})" in readme, name
