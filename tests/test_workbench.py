"""The workbench: the same states as single solves, whatever was solved before."""

import copy

from mpi4py import MPI

import numpy as np
import pytest
from conftest import EXAMPLES

import pnp_exclusion as pnp
from pnp_exclusion.case.case import Case, make_case, read_case
from pnp_exclusion.errors import ConvergenceError, OneRankDiskError
from pnp_exclusion.exact import stationary_state
from pnp_exclusion.runtime.parallel import leaves_together
from pnp_exclusion.studies.workbench import Workbench, structure_of

TWO_SPECIES = {
    "model": {"units": "dimensionless", "law": "shdl", "electrostatics": "imposed"},
    "species": [{"name": "A", "field": 3.0}, {"name": "B", "field": -3.0}],
    "domain": {"shape": "interval", "length": 1.0},
    "boundaries": [
        {"where": "left", "kind": "reservoir", "fraction": {"A": 0.2, "B": 0.5}},
        {"where": "right", "kind": "reservoir", "fraction": {"A": 0.6, "B": 0.1}},
    ],
}


def with_fields(first: float, second: float, **model: object) -> Case:
    tables = copy.deepcopy(TWO_SPECIES)
    tables["species"][0]["field"], tables["species"][1]["field"] = first, second
    tables["model"] |= model
    return make_case(tables)


def membrane(voltage: str, left: str = "2 mol/L", charge: str = "1.45 mol/L", law: str = "shdl") -> Case:
    tables = read_case(EXAMPLES / "membrane.toml").as_written()
    tables["model"]["law"] = law
    tables["boundaries"][0] |= {"potential": voltage, "concentration": {"Na": left, "Cl": left}}
    tables["regions"][0]["fixed_charge"] = charge
    return make_case(tables)


def others_changed(case: Case) -> Case:
    tables = case.as_written()
    tables["model"] |= {"temperature": "330 K", "permittivity": 60.0, "lattice_spacing": "0.6 nm"}
    for species, charge in zip(tables["species"], (2.0, -2.0), strict=True):
        species |= {"charge": charge, "diffusivity": "1e-9 m^2/s"}
    return make_case(tables)


def test_warm_starts_reach_the_exact_currents_over_a_range_of_fields():
    """Reference: multiple shooting on the matrix exponential (`pnp_exclusion.exact`)."""
    strengths = np.linspace(-20.0, 20.0, 17)
    cases = [with_fields(e, -0.5 * e) for e in strengths]
    state = None
    with Workbench(cases[0], also=cases) as workbench:
        for strength, case in zip(strengths, cases, strict=True):
            solution = workbench.solve(case, state)
            currents, state = list(solution.steady.currents.values()), solution.state
            exact = stationary_state([0.2, 0.5], [0.6, 0.1], [strength, -0.5 * strength]).currents
            assert currents == pytest.approx(exact, abs=1e-6 * max(1.0, np.abs(exact).max()))


def test_a_path_may_begin_where_nothing_drives_the_species():
    """A step of exactly zero; reference: multiple shooting on the matrix exponential."""
    balanced = copy.deepcopy(TWO_SPECIES)
    balanced["boundaries"][1]["fraction"] = balanced["boundaries"][0]["fraction"]
    cases = []
    for strength in (0.0, 1.0, 2.0):
        balanced["species"][0]["field"] = balanced["species"][1]["field"] = strength
        cases.append(make_case(balanced))
    with Workbench(cases[0], also=cases) as workbench:
        state = None
        for strength, case in zip((0.0, 1.0, 2.0), cases, strict=True):
            solution = workbench.solve(case, state)
            currents, state = list(solution.steady.currents.values()), solution.state
            exact = stationary_state([0.2, 0.5], [0.2, 0.5], [strength, strength]).currents
            assert currents == pytest.approx(exact, abs=1e-7)


@pytest.mark.parametrize(("linear", "degree"), [("direct", 2), ("fieldsplit", 3)])
def test_in_the_plane_what_was_solved_before_leaves_no_trace_either(linear: str, degree: int):
    tables = copy.deepcopy(TWO_SPECIES)
    tables["model"] |= {"electrostatics": "poisson", "debye_length": 0.2}
    tables["domain"] = {"shape": "rectangle", "size": [1.0, 1.0], "cells": 40 // degree}
    tables["solver"] = {"degree": degree, "linear": linear}
    for species, charge in zip(tables["species"], (1, -1), strict=True):
        species.pop("field")
        species["charge"] = charge
    first, second = copy.deepcopy(tables), copy.deepcopy(tables)
    for case, voltage in ((first, 3.0), (second, -1.0)):
        for boundary, potential in zip(case["boundaries"], (voltage, 0.0), strict=True):
            boundary["potential"] = potential
    first, second = make_case(first), make_case(second)
    with Workbench(first) as workbench:
        before = workbench.solve(second).state.values
        workbench.solve(first)
        workbench.forget()
        assert np.array_equal(workbench.solve(second).state.values, before)


@pytest.mark.parametrize("law", ["pnp", "mpnp", "shdl", "vacancy"])
def test_every_number_of_a_case_can_be_changed_on_a_built_problem(law):
    """Reference: a cold solve of each case by itself, on its own mesh."""
    cases = [
        membrane("-40 mV", law=law),
        membrane("90 mV", law=law),
        membrane("-40 mV", left="0.1 mol/L", law=law),
        membrane("10 mV", charge="-1 mol/L", law=law),
        others_changed(membrane("-40 mV", law=law)),
    ]
    with Workbench(cases[0], also=cases) as workbench:
        for case in cases:
            assert workbench.fits(case)
            reused, alone = workbench.solve(case).summary(), pnp.solve(case).summary()
            for name in ("Na", "Cl"):
                flux, expected = (s["flux"]["right"][name]["value"] for s in (reused, alone))
                assert flux == pytest.approx(expected, rel=1e-5)
                assert reused["force"][name] == pytest.approx(alone["force"][name], abs=1e-9)
                assert reused["regime"][name] == alone["regime"][name]
            charge, expected = (s["charge"]["left"]["value"] for s in (reused, alone))
            assert charge == pytest.approx(expected, rel=1e-4)
            assert reused["balance"] < 1e-11
            assert reused["identity_residual"] < 1e-6
            produced, expected = (s["entropy_production"]["value"] for s in (reused, alone))
            assert produced == pytest.approx(expected, rel=1e-6)


def test_given_fluxes_and_means_follow_too():
    """Reference: what is given at the boundary is what flows, and what is given as a mean is what is there."""

    def cell(flux: float, mean: float) -> Case:
        tables = copy.deepcopy(TWO_SPECIES)
        tables["species"] = [{"name": "A", "field": 0.5}, {"name": "B", "field": -0.5, "mean_fraction": mean}]
        tables["boundaries"] = [
            {"where": "left", "kind": "flux", "flux": {"A": flux}},
            {"where": "right", "kind": "electrode", "fraction": {"A": 0.2}},
        ]
        return make_case(tables)

    with Workbench(cell(-0.1, 0.3)) as workbench:
        for flux, mean in [(-0.1, 0.3), (0.1, 0.3), (-0.3, 0.1)]:
            solution = workbench.solve(cell(flux, mean))
            assert solution.steady.totals.flux["right"]["A"] == pytest.approx(-flux, rel=1e-8)
            assert solution.steady.integrals.mean_densities["B"] == pytest.approx(mean, rel=1e-8)


def test_history_leaves_no_trace_after_forgetting():
    """Reference: the same path of cases on a new workbench, to the last bit."""
    cases = [membrane(f"{v} mV") for v in range(-60, 61, 20)]

    def path(workbench: Workbench) -> list[tuple[float, ...]]:
        workbench.forget()
        state, found = None, []
        for case in cases:
            solution = workbench.solve(case, state)
            found.append(tuple(solution.steady.currents.values()))
            state = solution.state
        return found

    with Workbench(cases[0], also=cases) as workbench, Workbench(cases[0], also=cases) as other:
        first = path(workbench)
        workbench.solve(membrane("200 mV"))
        assert path(workbench) == first
        assert path(other) == first


def test_benches_do_not_disturb_each_others_options():
    """Reference: the currents of the first workbench before the second, with other PETSc options, came and went."""
    case = membrane("-40 mV")
    with Workbench(case) as workbench:
        before = workbench.solve(case).steady.currents
        written = case.as_written() | {"solver": {"petsc": {"ksp_type": "gmres", "ksp_rtol": 1e-3}}}
        with Workbench(make_case(written)) as other:
            other.solve(make_case(written))
        workbench.forget()
        assert workbench.solve(case).steady.currents == before


def test_what_differs_in_more_than_numbers_does_not_fit():
    case = with_fields(1.0, 2.0)
    for other in (with_fields(1.0, 2.0, law="mpnp"), membrane("0 V")):
        assert structure_of(other) != structure_of(case)
    with Workbench(case) as workbench, pytest.raises(ValueError, match="more than numbers"):
        workbench.solve(with_fields(1.0, 2.0, law="mpnp"))


def test_vacancy_law_with_and_without_swaps_share_no_form():
    """A sweep over kappa that began at 0 ended in an error, and kappa = 0 after 0.5 had the currents of 0.5.

    Reference: each case by itself."""
    cases = [membrane("-40 mV", law="vacancy").varied({"model.kappa": kappa}) for kappa in (0.0, 0.5, 1.0)]
    with Workbench(cases[1]) as workbench:
        assert [workbench.fits(case) for case in cases] == [False, True, True]
    axis = {"key": "model.kappa", "values": [0.5, 0.0, 1.0]}
    found = pnp.sweep(cases[0].as_written() | {"sweep": {"axes": [axis]}})["current"].sel(species="Na")
    for case in cases:
        alone = pnp.solve(case).currents["Na"]
        assert float(found.sel(kappa=case.model.kappa)) == pytest.approx(alone, rel=1e-6)


def test_law_registered_anew_under_its_name_is_another():
    """Also where both are of one function's making."""

    def law(share):
        return pnp.Law("share", lambda a, b, rho, d: (share if b else 1.0) * d[a] * rho[a] * rho[b])

    pnp.register_law(law(0.5))
    case = membrane("-40 mV").varied({"model.law": "share"})
    with Workbench(case) as workbench:
        assert workbench.fits(case)
        pnp.register_law(law(0.1))
        assert not workbench.fits(case)


def test_ranks_that_leave_at_different_places_do_not_wait_for_each_other():
    """An interruption hung two ranks: one freed PETSc's objects, which all must do together, the other was gone."""

    class TwoRanks:
        size = 2

    for kind, together in ((None, True), (ConvergenceError, True), (OneRankDiskError, False), (KeyError, False)):
        assert leaves_together(kind, TwoRanks()) is together
    assert not leaves_together(KeyboardInterrupt, TwoRanks())
    assert leaves_together(KeyboardInterrupt, MPI.COMM_SELF)
