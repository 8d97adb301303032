"""Sizes, units, interruptions and pictures of the lattice beside its continuum, within one process.

Seeds are fixed. Where a bound is statistical it is stated how often the right code would miss it.
"""

from __future__ import annotations

import os
import re
import signal

from mpi4py import MPI

import numpy as np
import pytest
from conftest import dimensionless_case, example

import pnp_exclusion as pnp
from pnp_exclusion.errors import PnpExclusionError, UsageError
from pnp_exclusion.particles import replicas as spreading
from pnp_exclusion.particles.lattice import TooShortError, WorkerDiedError, lattice_heat_profile
from pnp_exclusion.verification import compare as comparing
from pnp_exclusion.verification import plots
from pnp_exclusion.verification import relax as relaxing
from pnp_exclusion.verification.compare import LatticeSettings, compare_with_lattice
from pnp_exclusion.verification.continuum import read_continuum
from pnp_exclusion.verification.relax import step_course
from pnp_exclusion.verification.report import as_json, relaxation_as_json, relaxation_verdict, table, verdict

CHANCE = 1e-7
"""Below which a chi-square fails a true simulation."""

LEFT, RIGHT, FIELDS = [0.2, 0.3, 0.1], [0.1, 0.2, 0.5], [4.0, -7.0, 2.0]


def channel(left: list[float], right: list[float], fields: list[float], diffusivity: float = 1.0, length: float = 1.0):
    """The continuum solution of a dimensionless channel, by this process alone."""
    tables = dimensionless_case()
    names = "abcdef"[: len(left)]
    tables["species"] = [
        {"name": name, "field": field, "diffusivity": diffusivity} for name, field in zip(names, fields, strict=True)
    ]
    tables["domain"]["length"] = length
    for boundary, contents in zip(tables["boundaries"], (left, right), strict=True):
        boundary["fraction"] = dict(zip(names, contents, strict=True))
    return pnp.solve(pnp.make_case(tables), comm=MPI.COMM_SELF)


def compared(solution, **settings):
    chosen = LatticeSettings(**{"sizes": [16], "time": 40.0, **settings})
    return compare_with_lattice(read_continuum(solution, chosen.sizes, chosen.form), chosen)


def relax_step(continuum, settings, times, *others):
    return relaxing.relax(step_course(continuum, times), settings, *others)


# ---- units ----


@pytest.mark.parametrize(("diffusivity", "length"), [(2.0, 1.0), (1.0, 2.0), (4.0, 0.5)])
def test_diffusivity_and_length_scale_currents_and_times_and_nothing_else(diffusivity: float, length: float):
    """The same particles for the same time in length^2/D: currents are D/length times those of the unit channel."""
    unit = compared(channel(LEFT, RIGHT, FIELDS))
    duration = length**2 / diffusivity
    fields = [field / length for field in FIELDS]
    other = compared(channel(LEFT, RIGHT, fields, diffusivity, length), time=40.0 * duration)
    ours, theirs = (as_json(comparison) for comparison in (unit, other))
    for kind in ("currents", "counted_currents"):
        for name, current in ours["sizes"][0][kind].items():
            found = theirs["sizes"][0][kind][name]
            assert found["value"] == pytest.approx(current["value"] * diffusivity / length, rel=1e-9)
            assert found["error"] == pytest.approx(current["error"] * diffusivity / length, rel=1e-9)
    for name, current in ours["continuum"]["currents"].items():
        value = theirs["continuum"]["currents"][name]["value"]
        assert value == pytest.approx(current["value"] * diffusivity / length, rel=1e-6)
    for key in ("currents", "densities"):
        chi = [one["sizes"][0]["chi_square"][key]["per_degree"] for one in (ours, theirs)]
        assert chi[1] == pytest.approx(chi[0], rel=1e-4)
    assert theirs["time"]["value"] == pytest.approx(40.0 * duration)
    assert theirs["diffusion_time"]["value"] == pytest.approx(duration)
    assert theirs["sizes"][0]["burn_in"]["value"] == pytest.approx(
        ours["sizes"][0]["burn_in"]["value"] * duration, rel=1e-9
    )


def test_lattice_of_a_diffusivity_of_two_agrees_with_its_continuum():
    """At n = 64 currents are about 0.01 from the limit, an error bar; a factor of two would be a hundred of them."""
    found = compared(channel(LEFT, RIGHT, FIELDS, diffusivity=2.0), sizes=[64], time=10.0)
    assert found.runs[0].comparison.currents.probability > CHANCE


def test_relaxation_runs_on_the_clock_of_the_diffusivity_and_the_length():
    """D = 2 takes half the time, twice the length four times it: the same particles at every moment."""
    settings = LatticeSettings([16], replicas=64)
    none = [0.0, 0.0]
    unit, fast, long = (
        relax_step(read_continuum(channel([0.2, 0.5], [0.6, 0.1], none, *units), [16], "linear"), settings, times)
        for units, times in [((1.0, 1.0), [0.01, 0.05]), ((2.0, 1.0), [0.005, 0.025]), ((1.0, 2.0), [0.04, 0.2])]
    )
    for other in (fast, long):
        assert np.array_equal(other.result.densities.mean, unit.result.densities.mean)
        assert other.course.expected == pytest.approx(unit.course.expected, abs=1e-12)
        assert other.course.curves == pytest.approx(unit.course.curves, abs=1e-12)
    assert [entry["time"]["value"] for entry in relaxation_as_json(fast)["times"]] == pytest.approx([0.005, 0.025])


def test_densities_of_every_size_are_written_site_by_site_with_their_errors():
    """Without fields the averages are linear in x at every size. Of 96 numbers none is 7 errors off by chance."""
    found = as_json(compared(channel([0.2, 0.5], [0.6, 0.1], [0.0, 0.0]), sizes=[16, 32], time=40.0))
    for size in found["sizes"]:
        x = np.array(size["position"])
        np.testing.assert_allclose(x, np.arange(1, size["n"] + 1) / (size["n"] + 1))
        for name, left, right in (("a", 0.2, 0.6), ("b", 0.5, 0.1)):
            density = {key: np.array(values) for key, values in size["densities"][name].items()}
            np.testing.assert_allclose(density["continuum"], left + (right - left) * x, rtol=1e-6)
            assert (density["error"] > 0.0).all()
            assert (np.abs(density["mean"] - density["continuum"]) < 7.0 * density["error"]).all()


def test_verdict_says_degrees_of_freedom_and_probability_of_each_chi_square():
    """The numbers of the file. Two currents; densities of two species in as many cells as the batches allow."""
    comparison = compared(channel([0.2, 0.5], [0.6, 0.1], [3.0, -3.0]), sizes=[16], time=10.0)
    chi = as_json(comparison)["sizes"][0]["chi_square"]
    assert chi["currents"]["degrees"] == 2
    for name in ("currents", "densities"):
        told = f"{chi[name]['per_degree']:.2f} ({chi[name]['degrees']} degrees of freedom, probability "
        assert f"of the {name} {told}{chi[name]['probability']:.2g})" in verdict(comparison)


def test_numbers_of_an_si_case_are_in_si_units():
    """The membrane is 5 nm long and D = 1.6e-9 m^2/s: L^2/D = 15.625 ns."""
    found = as_json(compared(pnp.solve(pnp.make_case(example("membrane")), comm=MPI.COMM_SELF), sizes=[8, 16]))
    assert found["diffusion_time"] == {"value": pytest.approx(1.5625e-8), "unit": "s"}
    assert found["time"] == {"value": pytest.approx(40.0 * 1.5625e-8), "unit": "s"}
    size = found["sizes"][0]
    assert {size[key]["unit"] for key in ("correlation_time", "burn_in")} == {"s"}
    assert size["distance"]["currents"]["unit"] == size["currents"]["Na"]["unit"] == "mol/m^2/s"
    # one size, two species: the distance is no larger than the root of the mean square of the differences
    differences = [size["currents"][a]["value"] - found["continuum"]["currents"][a]["value"] for a in ("Na", "Cl")]
    distance = size["distance"]["currents"]
    assert 0.0 <= distance["value"] <= np.sqrt(np.mean(np.square(differences)))
    assert distance["error"] > 0.01 * size["currents"]["Na"]["error"]


# ---- what can be foreseen ----


def field_table(strength: float):
    """One species in a field that rises to ``strength`` in the middle and falls again."""
    tables = dimensionless_case()
    tables["species"] = [{"name": "A", "field": {"x": [0.0, 0.5, 1.0], "values": [0.0, strength, 0.0]}}]
    for boundary in tables["boundaries"]:
        boundary["fraction"] = {"A": 0.3}
    return pnp.solve(pnp.make_case(tables), comm=MPI.COMM_SELF)


@pytest.mark.parametrize("solution", [lambda: channel([0.3], [0.3], [60.0]), lambda: field_table(60.0)])
def test_too_strong_a_field_names_the_smallest_size_that_is_admitted(solution):
    """Uniform: 1 - E/(2(n+1)) >= 0 for n >= 29; of a peak coarse bonds see less, which must not mislead."""
    solution = solution()
    with pytest.raises(UsageError, match="--form exponential") as refusal:
        read_continuum(solution, [3, 64], "linear")
    smallest = int(str(refusal.value).split("at least --sizes ")[1].split(",")[0])
    assert 20 < smallest <= 29
    read_continuum(solution, [smallest], "linear")
    read_continuum(solution, [3], "exponential")
    with pytest.raises(UsageError):
        read_continuum(solution, [smallest - 1], "linear")


def test_a_time_too_short_for_the_largest_size_is_told_before_any_is_run():
    solution = channel([0.2, 0.5], [0.6, 0.1], [3.0, -3.0])
    settings = LatticeSettings([16, 64], time=0.3)
    with pytest.raises(UsageError, match=r"--time 0\.3 is too short for n = 64: 4 copies need at least") as refusal:
        compare_with_lattice(
            read_continuum(solution, [16, 64], "linear"), settings, report=lambda sites, progress: pytest.fail("ran")
        )
    enough = float(str(refusal.value).split("at least --time ")[1].split()[0])
    assert not compared(solution, sizes=[16, 64], time=enough).failure


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (TooShortError("too short", 7.0), UsageError, "--time 40 is too short for n = 16: .* at least --time 7 "),
        (WorkerDiedError("workers died"), PnpExclusionError, "n = 16: workers died"),
    ],
)
def test_a_size_that_fails_later_leaves_the_finished_ones(monkeypatch, error, kind, sentence):
    simulate = comparing.simulate_stationary

    def failing(process, *arguments, **options):
        # the pilot, of the size of the smallest, reports nothing
        if process.lattice.length == 16 and "report" in options:
            raise error
        return simulate(process, *arguments, **options)

    monkeypatch.setattr(comparing, "simulate_stationary", failing)
    found = compared(channel([0.2, 0.5], [0.6, 0.1], [3.0, -3.0]), sizes=[8, 16])
    assert [run.sites for run in found.runs] == [8]
    assert type(found.failure) is kind
    assert re.match(sentence, str(found.failure))
    assert verdict(found).startswith("Incomplete: n = 16 not measured; lattice and continuum")
    with pytest.raises(kind, match=sentence):
        compared(channel([0.2, 0.5], [0.6, 0.1], [3.0, -3.0]), sizes=[16])


def test_relaxation_refuses_too_few_copies_before_it_runs_them(monkeypatch):
    monkeypatch.setattr(relaxing, "simulate_relaxation", lambda *arguments, **options: pytest.fail("ran"))
    continuum = read_continuum(channel([0.2, 0.5], [0.6, 0.1], [0.0, 0.0]), [16], "linear")
    with pytest.raises(UsageError, match=r"--replicas 4 are too few for --relaxation.* give at least 6"):
        relax_step(continuum, LatticeSettings([16], replicas=4), [0.1])


# ---- relaxation ----


def test_step_of_an_odd_number_of_sites_relaxes_about_its_middle():
    """Exact lattice means against heat kernels: of second order in 1/n for odd n as for even, without any noise."""
    distances = {}
    for sites in (32, 33, 65):
        continuum = read_continuum(channel([0.2, 0.5], [0.6, 0.1], [0.0, 0.0]), [sites], "linear")
        process = continuum.processes[sites]
        start = relaxing._step(continuum, process.lattice.positions)
        means = lattice_heat_profile(process, start, [0.01])
        kernels = relaxing._heat(continuum, process.lattice.positions, np.array([0.01]))
        distances[sites] = np.abs(means - kernels).max()
    assert distances[33] < 1.1 * distances[32] < 2e-3
    assert distances[65] < distances[33] / 3.5


@pytest.mark.parametrize(("species", "cells"), [(2, 8), (4, 7), (6, 5)])
def test_step_of_any_number_of_species_relaxes_as_the_heat_equation_says(species: int, cells: int):
    """33 sites, 500 copies; each of two chi-squares fails a true simulation with a chance below 1e-7."""
    left, right = np.linspace(0.05, 0.2, species), np.linspace(0.25, 0.05, species)
    solution = channel(list(left), list(right * 0.9 / right.sum()), [0.0] * species)
    found = relax_step(
        read_continuum(solution, [33], "linear"), LatticeSettings([33], replicas=500, seed=3), [0.02, 0.05]
    )
    assert all(chi.probability > CHANCE for chi in found.chi_square)
    assert found.chi_square[0].degrees == cells * species
    assert relaxation_verdict(found).startswith("Lattice and heat equation")


# ---- interruptions ----


class Interrupter:
    """SIGINT at the first report of a size that is at least so far."""

    def __init__(self, sites: int, fraction: float):
        self.sites, self.fraction, self.sent = sites, fraction, False

    def __call__(self, sites, progress):
        if sites == self.sites and progress.fraction >= self.fraction and not self.sent:
            self.sent = True
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def talkative(monkeypatch):
    """Every word of a replica is passed on, so that an interruption comes when it should."""
    monkeypatch.setattr(spreading, "POLL_SECONDS", 0.0)


@pytest.mark.parametrize(
    ("fraction", "sizes", "beginning"),
    [
        (0.0, [16], "Interrupted: n = 64 not measured; lattice and continuum"),
        (0.03, [16], "Interrupted: n = 64 not measured; lattice and continuum"),
        (0.3, [16, 64], "Interrupted: lattice and continuum"),
    ],
)
def test_an_interruption_keeps_finished_sizes_and_what_can_be_compared_of_the_last(
    talkative, fraction: float, sizes: list[int], beginning: str
):
    """At 3 % there are batches, but too few for a covariance."""
    continuum = read_continuum(channel([0.2, 0.5], [0.6, 0.1], [3.0, -3.0]), [16, 64], "linear")
    found = compare_with_lattice(continuum, LatticeSettings([16, 64], time=20.0), None, Interrupter(64, fraction))
    assert found.interrupted
    assert [run.sites for run in found.runs] == sizes
    assert verdict(found).startswith(beginning)
    assert as_json(found)["missing_sizes"] == [size for size in (16, 64) if size not in sizes]


def test_an_interruption_at_once_measures_nothing_and_says_so(talkative):
    continuum = read_continuum(channel([0.2, 0.5], [0.6, 0.1], [3.0, -3.0]), [64], "linear")
    found = compare_with_lattice(continuum, LatticeSettings([64], time=20.0), None, Interrupter(64, 0.03))
    assert verdict(found) == "Interrupted: nothing was measured."
    assert as_json(found)["sizes"] == []
    assert len(table(found)) == 3


@pytest.mark.parametrize(("fraction", "cells"), [(0.05, 2), (0.5, 8)])
def test_an_interrupted_relaxation_is_compared_in_the_cells_it_can_afford(talkative, fraction: float, cells: int):
    """After 13 of 256 shares there are 13 groups, for 12 numbers at most; the chance of a false alarm is below 1e-7."""
    continuum = read_continuum(channel([0.2, 0.5], [0.6, 0.1], [0.0, 0.0]), [32], "linear")
    found = relax_step(continuum, LatticeSettings([32], replicas=512), [0.02], None, Interrupter(32, fraction))
    assert found.result.interrupted
    assert found.chi_square[0].degrees == 2 * cells
    assert found.chi_square[0].probability > CHANCE
    completed = found.result.replicas
    assert relaxation_verdict(found).startswith(f"Interrupted: after {completed} of 512 copies lattice and heat")


def test_a_relaxation_interrupted_at_once_says_so(talkative):
    continuum = read_continuum(channel([0.2, 0.5], [0.6, 0.1], [0.0, 0.0]), [32], "linear")
    found = relax_step(continuum, LatticeSettings([32], replicas=512), [0.02], None, Interrupter(32, 0.01))
    assert found is None
    assert relaxation_verdict(None).startswith("Interrupted: ")


# ---- pictures and the table ----


def labels_of(figure) -> list[str]:
    return [text.get_text() for axis in figure.axes for text in axis.get_legend().get_texts()]


def test_convergence_has_an_order_in_picture_and_table_where_the_distances_are_clear():
    """Currents at 8 and 16 sites are 0.0085 and 0.006 off, ten errors: an order there is, not yet that of large n."""
    found = compared(channel([0.2, 0.5], [0.6, 0.1], [3.0, -3.0]), sizes=[8, 16, 32], time=600.0)
    figure = plots.convergence("title", found)
    figure.canvas.draw()
    axis = figure.axes[0]
    assert any(label.startswith("currents: order ") for label in labels_of(figure))
    low, high = axis.get_ylim()
    ticks = [label.get_text() for label in axis.yaxis.get_majorticklabels()]
    shown = [text for text, place in zip(ticks, axis.get_yticks(), strict=True) if low <= place <= high]
    assert len(shown) >= 2
    assert len(set(shown)) == len(shown)
    rows = {tuple(row[:2]): row[2:4] for row in table(found)}
    order, error = map(float, rows["order in 1/n", "(currents)"])
    assert 0 < error < order < 2
    assert as_json(found)["order"]["currents"]["order"] == pytest.approx(order, abs=0.006)


def test_convergence_has_no_order_where_the_averages_are_exactly_linear():
    """Without fields nothing is to converge; before, an order of 1.9 with an error of 13 was drawn."""
    found = compared(channel([0.2, 0.5], [0.6, 0.1], [0.0, 0.0]), sizes=[8, 16, 32], time=20.0)
    labels = labels_of(plots.convergence("title", found))
    assert not any("order" in label for label in labels)
    assert all(label.split(":")[0] in ("currents", "densities") for label in labels)
    assert len(set(labels)) == len(labels)
    assert as_json(found)["order"] == {"currents": None, "densities": None}
    assert not any(row[0].startswith("order") for row in table(found))
    errors = [row[3] for row in table(found) if row[0] in ("8", "16", "32")]
    assert errors == ["0"] * 6


def test_species_without_a_clear_distance_have_one_entry_in_the_legend():
    found = compared(channel([0.2, 0.5], [0.6, 0.1], [0.01, 0.0]), sizes=[32, 64], time=5.0)
    assert not any(run.comparison.density_distance.clear for run in found.runs)
    figure = plots.convergence("title", found)
    assert "densities" not in labels_of(figure)
    assert "densities: at most" in labels_of(figure)


def test_lines_of_the_continuum_are_smooth_and_reach_both_reservoirs():
    solution = channel(LEFT, RIGHT, FIELDS)
    figure = plots.profiles("title", compared(solution))
    none = read_continuum(channel([0.2, 0.5], [0.6, 0.1], [0.0, 0.0]), [9], "linear")
    relaxation = plots.relaxing_profiles("title", relax_step(none, LatticeSettings([9], replicas=40), [0.01]))
    ends = zip(LEFT, RIGHT, strict=True), zip([0.2, 0.5], [0.6, 0.1], strict=True)
    for picture, reservoirs in zip((figure, relaxation), ends, strict=True):
        lines = [line for axis in picture.axes for line in axis.lines if len(line.get_xdata()) > 100]
        for line, (left, right) in zip(lines, reservoirs, strict=True):
            assert len(line.get_xdata()) >= 400
            assert list(line.get_xdata()[[0, -1]]) == [0.0, 1.0]
            assert line.get_ydata()[[0, -1]] == pytest.approx([left, right], abs=1e-9)
