"""Lattices whose particles carry energy from their case files: results, bad input, ranks."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, example, run_command, summary_of

from pnp_exclusion.case.case import read_case
from pnp_exclusion.case.lattice_tables import checked_lattice_case, read_lattice_case
from pnp_exclusion.cli.main import main
from pnp_exclusion.errors import CaseError
from pnp_exclusion.studies.energy.report import verdict
from pnp_exclusion.studies.energy.run import EnergySettings, measure_energy

INVERSE = EXAMPLES / "inverse_current.toml"
KINETIC = EXAMPLES / "hot_and_crowded.toml"


def test_the_inverse_current_of_the_example_is_measured_and_told(tmp_path: Path, capsys):
    out = tmp_path / "out"
    assert main(["lattice", str(INVERSE), "--sizes", "8", "--time", "100", "--quiet", "-o", str(out)]) == 0
    assert "inverse" in capsys.readouterr().out
    summary = summary_of(out)
    (size,) = summary["sizes"]
    assert size["directions"] == {"bullets": "inverse", "energy": "with its force"}
    assert min(size["forces"].values()) > 0.0
    assert summary["continuum"]["currents"]["bullets"] < 0.0
    currents = size["currents"]
    assert currents["bullets"]["mean"] < -5.0 * currents["bullets"]["error"]
    produced = sum(currents[name]["mean"] * size["forces"][name] for name in currents)
    assert size["entropy_production"]["mean"] == pytest.approx(produced)
    assert set(size["profiles"]) == {"bullets", "rods", "energy", "temperature"}
    # rods pile up at the cold end, where fewer bullets are
    assert size["profiles"]["rods"]["mean"][-1] > size["profiles"]["rods"]["mean"][0] + 0.05
    assert (out / "lattice_profiles.png").stat().st_size > 10_000
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["case"]["lattice"]["contact"] == 4.0


def test_kinetic_exclusion_agrees_with_what_is_exact_over_ranks_as_over_one(tmp_path: Path):
    words = ("lattice", KINETIC, "--sizes", "8,16", "--time", "30", "--seed", "3", "--quiet", "-o")
    assert main([*map(str, words), str(tmp_path / "1")]) == 0
    finished = run_command(*words, tmp_path / "2", ranks=2)
    assert finished.returncode == 0, finished.stderr
    first, second = (summary_of(tmp_path / f"{ranks}") for ranks in (1, 2))
    assert "agree within the error bars at n = 16" in first["verdict"]
    # -rho' and -u' at every size
    assert first["continuum"]["currents"] == pytest.approx({"particles": 0.5, "energy": 1.3})
    assert [size["n"] for size in first["sizes"]] == [8, 16]
    assert all(size["agrees"] for size in first["sizes"])
    for one, other in zip(first["sizes"], second["sizes"], strict=True):
        assert one["currents"] == other["currents"]
        assert one["profiles"] == other["profiles"]


def test_a_state_that_drifts_is_not_called_steady():
    case = read_lattice_case(KINETIC)
    assert case is not None
    campaign = measure_energy(case, EnergySettings([8], time=20.0))
    assert "not steady" not in verdict(campaign)
    (run,) = campaign.runs
    drifting = replace(run.result, verdict=run.result.verdict._replace(drift=np.array([10.0, 0.0])))
    assert "not steady" in verdict(replace(campaign, runs=[replace(run, result=drifting)]))


def changed(*path: str | int, to: object = None) -> dict:
    """The tables of the example with one entry changed, or left out."""
    tables = copy.deepcopy(example("inverse_current"))
    target = tables
    for key in path[:-1]:
        target = target[key]
    if to is None:
        del target[path[-1]]
    else:
        target[path[-1]] = to
    return tables


LEFT = ("lattice", "reservoirs", 0)
BAD = {
    '[model]: unknown table or key in the case of a lattice; there is "title", "lattice", "output"': ("model", {}),
    '[lattice]: the key "barrier" is missing': ("lattice", "barrier", None),
    '[lattice]: unknown key "barier"; did you mean "barrier"?': ("lattice", "barier", 1.0),
    "[lattice]: barrier: input should be greater than or equal to 0, but it is -1.0": ("lattice", "barrier", -1.0),
    "[lattice]: sites_per_cell: must be a whole number, but it is 1.5": ("lattice", "sites_per_cell", 1.5),
    "[lattice]: contact is for rods that cannot leave: it goes with rods": ("lattice", "rods", None),
    '[[lattice.reservoirs]] "left": rods must be left out': (*LEFT, "rods", 0.1),
    '[[lattice.reservoirs]] "left": temperature: input should be greater than 0': (*LEFT, "temperature", 0),
    '[[lattice.reservoirs]] "left": unknown key "density"': (*LEFT, "density", 0.5),
    "[[lattice.reservoirs]]: the left one is missing": (*LEFT, None),
    "[[lattice.reservoirs]]: the right one is given twice": (*LEFT, "where", "right"),
}


@pytest.mark.parametrize("sentence", BAD)
def test_a_mistake_in_the_case_is_told_in_a_sentence(sentence: str):
    *path, value = BAD[sentence]
    with pytest.raises(CaseError) as caught:
        checked_lattice_case(changed(*path, to=value), Path("case"))
    assert any(mistake.startswith(sentence) for mistake in caught.value.mistakes), caught.value.mistakes


def test_a_kind_that_there_is_not_names_those_that_there_are():
    with pytest.raises(CaseError, match="'kinetic exclusion', 'barrier exchange'"):
        checked_lattice_case(changed("lattice", "kind", to="kinetic"), Path("case"))


def test_reservoirs_without_particles_are_refused():
    tables = example("hot_and_crowded")
    for side in tables["lattice"]["reservoirs"]:
        side["density"] = 0.0
    with pytest.raises(CaseError, match="both are empty"):
        checked_lattice_case(tables, Path("case"))


def test_other_commands_say_which_one_runs_such_a_file():
    with pytest.raises(CaseError, match='"pnp-exclusion lattice" runs') as caught:
        read_case(INVERSE)
    assert len(caught.value.mistakes) == 1


def test_words_that_are_for_other_lattices_and_times_too_short_end_with_exit_code_2(tmp_path: Path, capsys):
    out = tmp_path / "out"
    for words, sentence in (
        (("--relaxation", "0.1"), "--relaxation is not for a lattice whose particles carry energy"),
        (("--form", "linear"), "--form is not for a lattice whose particles carry energy"),
        (("--sizes", "8", "--time", "0.01"), "--time 0.01 is too short for n = 8: 4 copies need at least --time"),
    ):
        assert main(["lattice", str(KINETIC), *words, "-o", str(out)]) == 2
        assert sentence in capsys.readouterr().err
