"""Every mistake in a case gets one clear sentence, and all of them are told together."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from conftest import dimensionless_case, run_command, write_toml

from pnp_exclusion.case import make_case, read_case
from pnp_exclusion.errors import CaseError


def mistakes(tables: dict, folder: Path = Path()) -> list[str]:
    with pytest.raises(CaseError) as caught:
        make_case(tables, folder)
    return caught.value.mistakes


def change(tables: dict, *path, to) -> dict:
    """Return a copy with one entry changed."""
    changed = copy.deepcopy(tables)
    target = changed
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = to
    return changed


ONE_MISTAKE = {
    "unknown table": (["modle"], {}, 'did you mean "model"?'),
    "unknown key": (["domain", "lenght"], "5 nm", 'unknown key "lenght"; did you mean "length"?'),
    "unit of another kind": (["species", 0, "diffusivity"], "1 m^2", 'right would be "1.6e-9 m^2/s"'),
    "no unit": (["domain", "length"], 5.0, "has no unit"),
    "no such unit": (["domain", "length"], "5 nmm", '"nmm" in "5 nmm" is not a known unit'),
    "not a number": (["domain", "length"], "five nm", "is not a length"),
    "negative concentration": (["boundaries", 0, "concentration", "Na"], "-1 mol/L", '"Na" is negative'),
    "overfull reservoir": (["boundaries", 0, "concentration", "Na"], "4 mol/L", "the species fill 1.239 of the space"),
    "boundary that the domain lacks": (["boundaries", 1, "where"], "rigth", 'did you mean "right"?'),
    "two boundaries on one side": (["boundaries", 1, "where"], "left", "two boundaries are given for one side"),
    "region outside": (["regions", 0, "x"], ["1 nm", "6 nm"], "reaches outside the domain"),
    "region backwards": (["regions", 0, "x"], ["3 nm", "2 nm"], "from a smaller to a larger"),
    "region in y of an interval": (["regions", 0, "y"], ["0 nm", "1 nm"], "has a range in y"),
    "unknown law": (["model", "law"], "shld", "'shdl'"),
    "kappa without vacancy": (["model", "kappa"], 0.5, 'kappa goes with law = "vacancy"'),
    "law that the species do not fit": (["species", 0, "diffusivity"], "1e-9 m^2/s", "equal diffusivities only"),
    "field with Poisson": (["species", 0, "field"], "1e7 eV/m", 'field goes with electrostatics = "imposed"'),
    "unknown species in a reservoir": (["boundaries", 0, "concentration", "K"], "0 mol/L", 'unknown species "K"'),
    "unknown kind of boundary": (["boundaries", 0, "kind"], "resevoir", "'reservoir'"),
    "fraction in SI": (["boundaries", 0, "fraction"], {"Na": 0.1}, "fraction is not for a case in SI units"),
    "degree that is not offered": (
        [
            "solver",
        ],
        {"degree": 3},
        "is not one of 1 or 2",
    ),
    "mean of a supplied species": (["species", 0, "mean_concentration"], "1 mol/L", "remove it"),
    "zero length": (["domain", "length"], "0 nm", "must be positive"),
}


@pytest.mark.parametrize("name", ONE_MISTAKE)
def test_mistake_is_told_in_one_sentence_with_its_table(name: str, membrane: dict):
    path, value, sentence = ONE_MISTAKE[name]
    told = mistakes(change(membrane, *path, to=value))
    assert len(told) == 1
    assert sentence in told[0]
    assert told[0].startswith("[")


def test_all_mistakes_are_told_together(membrane: dict):
    for path, value, _ in (ONE_MISTAKE[n] for n in ("unknown table", "unknown key", "no such unit")):
        membrane = change(membrane, *path, to=value)
    membrane["boundaries"][1]["where"] = "rigth"
    membrane["boundaries"][0]["concentration"]["Na"] = "6 mol/L"
    assert len(mistakes(membrane)) == 5


def test_mistake_in_the_model_hides_none_elsewhere(membrane: dict):
    membrane["model"]["lattice"] = "x"
    membrane["boundaries"][0]["concentration"]["Na"] = "-1 mol/L"
    membrane["regions"][0]["x"] = ["1 nm", "9 nm"]
    assert len(mistakes(membrane)) == 3


def test_quadrature_that_makes_the_system_singular_is_refused(membrane: dict):
    membrane["solver"] = {"quadrature_degree": 1}
    assert "is singular with degree = 2" in mistakes(membrane)[0]


def test_reservoir_that_lacks_a_species_is_refused(membrane: dict):
    del membrane["boundaries"][0]["concentration"]["Cl"]
    assert 'lacks "Cl"' in mistakes(membrane)[0]


def test_potential_fixed_nowhere_is_refused(membrane: dict):
    for boundary in membrane["boundaries"]:
        boundary |= {"kind": "wall"}
        del boundary["potential"], boundary["concentration"]
    told = mistakes(membrane)
    assert any("no boundary gives a potential" in sentence for sentence in told)
    assert any("no boundary supplies it" in sentence for sentence in told)


def test_lattice_spacing_is_asked_for_by_crowded_laws_only(membrane: dict):
    del membrane["model"]["lattice_spacing"]
    assert "lattice_spacing is missing" in mistakes(membrane)[0]
    membrane["model"]["law"] = "pnp"
    make_case(membrane)


def test_dimensionless_case_refuses_units_and_asks_for_lambda():
    tables = dimensionless_case(electrostatics="poisson")
    tables["domain"]["length"] = "5 nm"
    for boundary in tables["boundaries"]:
        boundary["potential"] = 0.0
    told = mistakes(tables)
    assert any("plain number" in sentence for sentence in told)
    assert any("debye_length is missing" in sentence for sentence in told)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "there is no mesh file"),
        ("hello", "is not a gmsh file"),
        ("$MeshFormat\n4.1 0 8\n$EndMeshFormat\n$Nodes\n", "has no named physical groups"),
        ('$MeshFormat\n4.1 0 8\n$EndMeshFormat\n$PhysicalNames\n2\n1 1 "left"\nx\n', "is broken"),
    ],
)
def test_mesh_file_that_cannot_be_used_is_named(tmp_path: Path, membrane: dict, content: str | None, sentence: str):
    if content is not None:
        (tmp_path / "bad.msh").write_text(content)
    membrane["domain"] = {"shape": "gmsh", "file": "bad.msh", "unit": "1 nm"}
    membrane["regions"] = []
    told = mistakes(membrane, tmp_path)
    assert any(sentence in mistake for mistake in told)


def test_mesh_of_another_dimension_is_refused(membrane: dict):
    from conftest import EXAMPLES, example

    tables = example("slit")
    tables["domain"]["dimension"] = 3
    assert any("dimension = 3" in mistake for mistake in mistakes(tables, EXAMPLES))


def test_broken_mesh_behind_a_good_header_ends_with_exit_code_2(tmp_path: Path, membrane: dict):
    names = "".join(
        f'{dim} {tag} "{name}"\n' for tag, (dim, name) in enumerate([(1, "left"), (1, "right"), (2, "all")])
    )
    (tmp_path / "cut.msh").write_text(
        f"$MeshFormat\n4.1 0 8\n$EndMeshFormat\n$PhysicalNames\n3\n{names}$EndPhysicalNames\n$Nodes\n1 9 1 9\n2 1"
    )
    membrane["domain"] = {"shape": "gmsh", "file": "cut.msh", "unit": "1 nm"}
    membrane["regions"] = []
    case = write_toml(membrane, tmp_path / "case.toml")
    finished = run_command("run", case, "-o", tmp_path / "out")
    assert finished.returncode == 2, finished.stderr
    assert "cut.msh" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_file_that_is_missing_or_not_toml_is_told_so(tmp_path: Path):
    with pytest.raises(CaseError, match="there is no such file"):
        read_case(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("[model\n")
    with pytest.raises(CaseError, match="is not valid TOML"):
        read_case(tmp_path / "bad.toml")


def test_command_line_reports_every_mistake_with_the_file_and_exit_code_2(tmp_path: Path, membrane: dict):
    membrane["species"][0]["chrge"] = 1
    membrane["boundaries"][0]["where"] = "wesst"
    case = write_toml(membrane, tmp_path / "wrong.toml")
    finished = run_command("run", case, "-o", tmp_path / "out")
    assert finished.returncode == 2
    assert finished.stderr.count("wrong.toml") == 2
    assert 'did you mean "charge"?' in finished.stderr
    assert not (tmp_path / "out" / "summary.json").exists()


def test_case_as_written_is_a_case_again(membrane: dict):
    """What the manifest keeps must run: SI, dimensionless, with kappa."""
    for tables in (membrane, dimensionless_case(law="vacancy", kappa=0.5)):
        case = make_case(tables)
        assert make_case(case.as_written()) == case
