"""Pictures: triangles as triangles, layers that can be seen, titles that fit, units of one kind, formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, blocking_electrode, dimensionless_case, mistakes, run_command, write_toml
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh, TriMesh
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from test_solution_object import box

import pnp_exclusion as pnp
from pnp_exclusion.observe.sample import central_slice
from pnp_exclusion.solution.style import COLUMN, PAGE, time_in_picture, unit_in_picture

UNITS = {
    "mol/m^2/s": "mol m⁻² s⁻¹",
    "mol/L": "mol L⁻¹",
    "A^2/Hz/m^4": "A² Hz⁻¹ m⁻⁴",
    "kT mol/m^3/s": "kT mol m⁻³ s⁻¹",
    "1/m^3": "m⁻³",
    "F/m^2": "F m⁻²",
    "kT/e": "kT/e",
    "D/L^2": "D/L²",
    "V": "V",
    "": "",
}


@pytest.mark.parametrize(("written", "drawn"), UNITS.items())
def test_units_are_products_of_powers_and_natural_ones_stay_as_they_are(written: str, drawn: str):
    assert unit_in_picture(written) == drawn


@pytest.mark.parametrize(
    ("longest", "unit", "drawn"),
    [(2e-6, "s", (1e6, "µs")), (0.25, "s", (1e3, "ms")), (40.0, "s", (1.0, "s")), (1e-6, "L²/D", (1.0, "L²/D"))],
)
def test_times_are_in_the_unit_in_which_they_are_short(longest: float, unit: str, drawn: tuple[float, str]):
    assert time_in_picture(longest, unit) == drawn


def areas(corners: np.ndarray) -> np.ndarray:
    """Of triangles whose corners come in threes."""
    a, b, c = np.moveaxis(corners.reshape(-1, 3, 2), 1, 0)
    return np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2.0


def test_slice_of_a_mesh_is_drawn_by_its_own_triangles():
    """They fill the slit's 12 nm x 5 nm, with the solver's values at their corners; there is no raster."""
    solution = pnp.solve(EXAMPLES / "slit.toml")
    cut = central_slice(solution.discretisation, 0)
    stretch = solution.setup.scales.length_in_unit
    assert areas(cut.cut.points * stretch).sum() == pytest.approx(60.0, rel=1e-9)
    rows = [5, len(cut.cut.points) // 2, -9]
    found = solution.at(cut.cut.points[rows] * solution.setup.scales.length)
    rho = cut.cut.fields.rho[:, rows] * solution.setup.scales.concentration
    np.testing.assert_allclose(rho, found["concentration"], rtol=1e-8)
    drawn = [collection for axis in solution.plot().axes for collection in axis.collections]
    assert sum(isinstance(one, TriMesh) for one in drawn) == 4
    on_panels = [one for axis in solution.plot().axes[:4] for one in axis.collections]
    assert not any(isinstance(one, QuadMesh) for one in on_panels)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slice_through_tetrahedra_fills_the_plane_once(axis: int):
    """A box of 4 nm x 2 nm x 2 nm whose middle planes are faces of cells: no triangle is missing or there twice."""
    solution = pnp.solve(box())
    cut = central_slice(solution.discretisation, axis)
    across, up = (np.array([4.0, 2.0, 2.0])[list(cut.axes)]).tolist()
    assert areas(cut.cut.points * 4.0).sum() == pytest.approx(across * up, rel=1e-9)
    places = np.zeros((3, 3))
    rows = [1, len(cut.cut.points) // 2, -1]
    places[:, list(cut.axes)] = cut.cut.points[rows]
    places[:, 3 - sum(cut.axes)] = cut.offset
    found = solution.at(places * 4e-9)["concentration"].sel(species="A")
    # linear in log c between nodes
    np.testing.assert_allclose(cut.cut.fields.rho[0, rows] * solution.setup.scales.contents[0], found, rtol=5e-3)


def test_long_thin_channel_is_stretched_and_says_so():
    """20 times as long as wide: drawn as if 5 times."""
    tables = dimensionless_case(law="pnp") | {
        "domain": {"shape": "rectangle", "size": [1.0, 0.05], "cells": [6, 2]},
        "solver": {"degree": 3},
    }
    figure = pnp.solve(tables).plot()
    assert figure.get_suptitle().splitlines()[-1] == "y is drawn 4 times as large"
    assert figure.axes[0].get_box_aspect() == pytest.approx(0.2)


def test_thin_layer_has_a_panel_of_its_own_and_a_wide_one_has_not():
    """At a blocking electrode, of Debye lengths 0.002 and 0.2 of the interval; the panel begins at the wall."""
    thin = pnp.solve(blocking_electrode("mpnp", 4.0, 0.002)).plot()
    titles = [axis.get_title() for axis in thin.axes]
    assert titles == ["left end", "", "", ""]
    low, high = thin.axes[0].get_xlim()
    assert low == 0.0 and 0.002 < high < 0.1
    wide = pnp.solve(blocking_electrode("mpnp", 4.0, 0.2)).plot()
    assert [axis.get_title() for axis in wide.axes] == ["", ""]
    assert (thin.get_figwidth(), wide.get_figwidth()) == (0.75 * PAGE, COLUMN)


def test_thin_layers_of_a_slice_are_coloured_by_their_logarithm_and_what_is_kept_out_is_left_blank():
    """The cone's potassium is tenfold beside its walls; glass holds none of it and is not painted."""
    solution = pnp.solve(EXAMPLES / "conical_nanopore.toml")
    panels = [next(one for one in axis.collections if isinstance(one, TriMesh)) for axis in solution.plot().axes[:3]]
    assert [isinstance(one.norm, LogNorm) for one in panels] == [False, True, False]
    whole, of_ions = (len(one._triangulation.triangles) for one in panels[:2])
    assert 0 < of_ions < whole


def test_plane_without_flux_says_so():
    """Equal reservoirs: what is left is rounding, of which no lines are drawn."""
    tables = dimensionless_case(law="pnp") | {
        "domain": {"shape": "rectangle", "size": [1.0, 0.7], "cells": [3, 2]},
        "solver": {"degree": 3},
    }
    tables["boundaries"][1]["fraction"] = {"A": 0.2, "B": 0.5}
    titles = [axis.get_title() for axis in pnp.solve(tables).plot().axes[:2]]
    assert titles == ["A (volume fraction); no flux", "B (volume fraction); no flux"]


def test_titles_are_wrapped_to_what_a_picture_holds():
    """No letter of a long title is cut off, in one dimension or two."""
    title = "A salt with a $ sign between two electrodes of which one is charged and the other is not, as long as this"
    for domain in ({"shape": "interval", "length": 1.0}, {"shape": "rectangle", "size": [1.0, 0.7], "cells": [3, 2]}):
        tables = {"title": title} | dimensionless_case(law="pnp") | {"domain": domain, "solver": {"degree": 3}}
        figure: Figure = pnp.solve(tables).plot()
        FigureCanvasAgg(figure).draw()
        extent = figure._suptitle.get_window_extent()
        assert extent.x0 >= 0.0 and extent.x1 <= figure.bbox.x1, domain


def test_format_of_pictures_is_that_of_the_case(tmp_path: Path):
    """PDF with letters as letters of an embedded font; nothing at all for "none"."""
    for word, names in (("pdf", {"profiles.pdf", "fluxes.pdf"}), ("none", set())):
        tables = dimensionless_case() | {"output": {"pictures": word, "fields": False}}
        case = write_toml(tables, tmp_path / "case.toml")
        assert run_command("run", case, "-o", tmp_path / word).returncode == 0
        found = {path.name: path.read_bytes() for path in (tmp_path / word).iterdir()}
        pictures = {name for name in found if name.endswith(("png", "svg", "pdf"))}
        assert pictures == names
        assert all(found[name].startswith(b"%PDF") and b"FontFile2" in found[name] for name in names)
    for wrong in ("jpg", 1, ["png"]):
        tables = dimensionless_case() | {"output": {"pictures": wrong}}
        (mistake,) = mistakes(tables)
        assert mistake.startswith('[output]: pictures: must be true, false, "png", "svg", "pdf" or "none", but it is')
