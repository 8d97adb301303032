"""Every mistake in a case gets one clear sentence, and all of them are told together."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from conftest import (
    EXAMPLES,
    blocking_electrode,
    change,
    dimensionless_case,
    example,
    mistakes,
    run_command,
    write_toml,
)

from pnp_exclusion.case import checks
from pnp_exclusion.case.case import Case, make_case, read_case
from pnp_exclusion.errors import CaseError

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
        {"degree": 5},
        "is not one of 1, 2, 3 or 4",
    ),
    "mean of a supplied species": (["species", 0, "mean_concentration"], "1 mol/L", "remove it"),
    "zero length": (["domain", "length"], "0 nm", "must be positive"),
    "tower of powers": (["domain", "length"], "5 m^9^9^9^9", '"m^9^9^9^9" is not a unit'),
    "open bracket": (["domain", "length"], "5 (nm", "cannot be read as a unit"),
    "number too large": (["domain", "length"], "1e400 nm", "is not a finite number"),
    "size out of proportion": (["model", "lattice_spacing"], "1e-50 nm", "out of all proportion"),
    "charge as a text": (["species", 0, "charge"], "1", 'charge: must be a number, but it is "1"'),
    "switch as a number": (
        ["output", "fields"],
        1,
        'fields: must be true, false, or some of "bp", "vtkhdf", "csv", but there is 1',
    ),
    "unknown format of fields": (["output", "fields"], ["vtk"], 'but there is "vtk"'),
    "unknown format of pictures": (["output", "pictures"], "jpg", 'must be true, false, "png", "svg", "pdf" or "none"'),
    "point with too many coordinates": (
        ["output", "points"],
        [{"at": ["1 nm", "2 nm"]}],
        '[[output.points]] "1": at has 2 coordinates, but the domain has 1',
    ),
    "line to nowhere": (["output", "lines"], [{"start": "1 nm", "end": "1 nm"}], "start and end are the same point"),
    "two lines of one name": (
        ["output", "lines"],
        2 * [{"name": "axis", "start": "1 nm", "end": "2 nm"}],
        'the name "axis" is given twice',
    ),
    "part of a list": (["regions", 0, "x"], ["1 nm", 2.0], "x, entry 2: 2.0 has no unit"),
    "dash before an option": (["solver", "petsc"], {"-ksp_type": "cg"}, "without a dash"),
    "list for an option": (["solver", "petsc"], {"ksp_type": ["cg"]}, "neither a text nor a number"),
    "log to a file": (["solver", "petsc"], {"log_view": ":marker"}, '"log_view" is not for a case'),
    "file of options": (["solver", "petsc"], {"options_file": "marker"}, '"options_file" is not for a case'),
    "library to load": (["solver", "petsc"], {"dll_append": "marker"}, '"dll_append" is not for a case'),
    "debugger": (["solver", "petsc"], {"on_error_attach_debugger": True}, "is not for a case"),
    "monitor into a file": (["solver", "petsc"], {"ksp_monitor": "ascii:marker"}, "its value must be true"),
    "monitor into a file without a sign": (["solver", "petsc"], {"ksp_monitor": "marker"}, "its value must be true"),
    "view of a field's matrix": (
        ["solver", "petsc"],
        {"fieldsplit_mu_Na_pc_gamg_view": "binary:marker"},
        "its value must be true",
    ),
    "reason into a file": (["solver", "petsc"], {"snes_converged_reason": "binary"}, "its value must be true"),
    "module of a solver": (["solver", "petsc"], {"ksp_python_type": "marker.Solver"}, '"ksp_python_type" is not'),
    "type that is a program": (["solver", "petsc"], {"pc_type": "python"}, "no file or code"),
    "list of types": (["solver", "petsc"], {"pc_composite_pcs": "ilu,python"}, "no file or code"),
    "way as a type": (["solver", "petsc"], {"pc_type": "../marker"}, "no file or code"),
    "stream of MUMPS": (["solver", "petsc"], {"mat_mumps_icntl_3": 77}, '"mat_mumps_icntl_3" is not for a case'),
    "folder of MUMPS": (["solver", "petsc"], {"mat_mumps_ooc_tmpdir": "marker"}, "is not for a case"),
    "two options in one": (["solver", "petsc"], {"ksp_type cg -log_view": ":marker"}, "is not for a case"),
    "no species": (["species"], [], "there must be at least one"),
    "table for an array": (["regions"], {"name": "membrane"}, "write [[regions]]"),
}


HARMLESS = {
    "ksp_type": "gmres",
    "ksp_rtol": 1e-9,
    "ksp_monitor": True,
    "snes_converged_reason": True,
    "snes_linesearch_type": "bt",
    "pc_factor_mat_solver_type": "mumps",
    "pc_fieldsplit_0_fields": "0,1",
    "ksp_chebyshev_esteig": "0,0.1,0,1.1",
    "fieldsplit_mu_Na+_pc_type": "gamg",
    "mg_levels_2_ksp_max_it": 3,
    "guess_mg_coarse_sub_pc_type": "lu",
    "mat_mumps_icntl_14": 80,
    "mat_type": "aij",
    "matptap_via": "rap",
    "pc_gamg_aggressive_square_graph": "false",
}


def test_options_of_solvers_are_for_a_case(membrane: dict):
    membrane["solver"] = {"petsc": HARMLESS}
    assert make_case(membrane).solver.petsc == HARMLESS


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


# ---- names and kinds ----


@pytest.mark.parametrize("name", ["x", "phi", "potential", "packing", "fixed_charge", "mu_Na", "flux_Na"])
def test_species_with_the_name_of_another_column_is_refused(name: str):
    tables = blocking_electrode("mpnp", 1.0, 0.1)
    _rename(tables, name)
    (told,) = mistakes(tables)
    assert told.startswith(f'[[species]] "{name}": results have a column of this name')


@pytest.mark.parametrize("name", ["X", "Phi", "mu", "flux", "Packing"])
def test_species_with_a_name_that_only_resembles_a_column_is_accepted(name: str):
    tables = blocking_electrode("mpnp", 1.0, 0.1)
    _rename(tables, name)
    assert make_case(tables).species_names[0] == name


def _rename(tables: dict, name: str) -> None:
    tables["species"][0]["name"] = name
    held = tables["boundaries"][1]["fraction"]
    held[name] = held.pop("cation")


def test_electrode_has_a_potential_with_poisson_and_none_with_imposed_fields():
    tables = blocking_electrode("mpnp", 1.0, 0.1)
    del tables["boundaries"][0]["potential"]
    (told,) = mistakes(tables)
    assert told == '[[boundaries]] "left": the potential of this electrode is missing, e.g. potential = 2.0'
    imposed = dimensionless_case()
    imposed["boundaries"][0] = {"where": "left", "kind": "electrode", "fraction": {"A": 0.2}, "potential": 1.0}
    (told,) = mistakes(imposed)
    assert 'potential has no effect with electrostatics = "imposed"' in told


def test_electrode_in_an_imposed_field_blocks_one_species_and_holds_the_other(tmp_path: Path):
    tables = dimensionless_case()
    tables["species"][1]["field"] = 1.0
    tables["boundaries"][0] = {"where": "left", "kind": "electrode", "fraction": {"A": 0.2}}
    finished = run_command("run", write_toml(tables, tmp_path / "case.toml"), "-o", tmp_path / "out")
    assert finished.returncode == 0, finished.stderr
    from conftest import summary_of

    flux = summary_of(tmp_path / "out")["flux"]["left"]
    assert abs(flux["B"]["value"]) < 1e-12
    assert abs(flux["A"]["value"]) > 1e-3


# ---- a case keeps what it needs ----


def test_case_with_another_law_names_its_file_and_opens_none(monkeypatch: pytest.MonkeyPatch):
    case = read_case(EXAMPLES / "slit.toml")
    monkeypatch.setattr(checks, "mesh_groups", _never)
    assert case.with_law("mpnp").dimension == 2
    assert case.with_law("mpnp").path == EXAMPLES / "slit.toml"
    with pytest.raises(CaseError) as caught:
        case.with_law("mnpn")
    assert caught.value.path == EXAMPLES / "slit.toml"
    assert caught.value.mistakes[0].startswith('with law "mnpn": [model]: law: "mnpn" is not one of')
    assert str(EXAMPLES / "slit.toml") in str(caught.value)


def _never(path: Path) -> None:
    raise AssertionError(f"{path} was opened")


def test_law_is_checked_against_species_and_contents(membrane: dict):
    membrane["model"]["law"] = "pnp"
    membrane["species"][0]["diffusivity"] = "1e-9 m^2/s"
    membrane["boundaries"][0]["concentration"] = {"Na": "4 mol/L", "Cl": "4 mol/L"}
    with pytest.raises(CaseError) as caught:
        make_case(membrane).with_law("shdl")
    assert len(caught.value.mistakes) == 2
    assert "equal diffusivities only" in caught.value.mistakes[0]
    assert "of the space" in caught.value.mistakes[1]
    del membrane["model"]["lattice_spacing"]
    with pytest.raises(CaseError, match="lattice_spacing is missing"):
        make_case(membrane).with_law("mpnp")


def test_exchange_rate_is_kept_for_the_law_that_has_one(membrane: dict):
    membrane["model"] |= {"law": "vacancy", "kappa": 0.5}
    case = make_case(membrane)
    assert case.with_law("vacancy").model.kappa == 0.5
    assert "kappa" not in case.with_law("shdl").model.model_dump()


def test_case_that_travelled_between_ranks_knows_its_dimension_and_folder(tmp_path: Path):
    """The receiving ranks must not open the mesh file: it may lie on a disk that only rank 0 sees."""
    tables = example("slit")
    tables["domain"]["file"] = "slit.msh"
    (tmp_path / "slit.msh").write_bytes((EXAMPLES / ".." / "meshes" / "slit.msh").read_bytes())
    sent = pickle.dumps(make_case(tables, tmp_path))
    (tmp_path / "slit.msh").unlink()
    case: Case = pickle.loads(sent)
    assert case.dimension == 2
    assert case.mesh_path == tmp_path / "slit.msh"
    assert case.with_law("mpnp").dimension == 2


@pytest.mark.parametrize("content", ["a = " + "[" * 5000, f"a = {'9' * 5000}", "a = 0x" + "f" * 5000, "\xff"])
def test_file_that_is_beyond_reading_is_told_so(tmp_path: Path, content: str):
    (tmp_path / "odd.toml").write_bytes(content.encode("latin-1"))
    with pytest.raises(CaseError) as caught:
        read_case(tmp_path / "odd.toml")
    assert caught.value.mistakes
