"""Motions that begin with a table: contents at places, in one dimension and more, and what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

import pnp_exclusion as pnp
from pnp_exclusion.errors import CaseError
from pnp_exclusion.output.manifest import manifest

MEAN, PART, END = 0.1, 0.05, 0.05


def closed_cell(folder: Path, file: str = "first.csv", domain: dict | None = None, **time: object) -> pnp.Case:
    """Point particles without charge that nothing lets out."""
    return pnp.Case(
        folder=folder,
        model={"units": "dimensionless", "law": "pnp", "electrostatics": "imposed"},
        species=[{"name": "A", "mean_fraction": MEAN}],
        domain=domain or {"shape": "interval", "length": 1.0},
        boundaries=[{"where": "left", "kind": "wall"}],
        initial={"state": "table", "file": file},
        time={"end": END, **time},
    )


def write(path: Path, head: str, rows: np.ndarray) -> None:
    path.write_text("\n".join([head, *(",".join(f"{x:.17g}" for x in row) for row in rows)]) + "\n")


def test_a_cosine_in_a_table_decays_as_diffusion_has_it(tmp_path):
    """Fourier: ``cos(pi x)`` between closed ends decays as ``exp(-pi^2 t)``; steps are good to 1e-4 of the mean."""
    x = np.linspace(0.0, 1.0, 401)
    write(tmp_path / "first.csv", "x,A", np.column_stack([x, MEAN + PART * np.cos(np.pi * x)]))
    motion = pnp.run(closed_cell(tmp_path))
    end = motion.to_xarray()
    exact = MEAN + PART * np.exp(-(np.pi**2) * END) * np.cos(np.pi * end.x.values)
    assert np.abs(end.concentration.sel(species="A").values - exact).max() < 1e-4 * MEAN
    assert motion.series.amount_A.values == pytest.approx(MEAN, rel=1e-7)


@pytest.mark.parametrize("places", ["grid", "scattered"])
def test_places_of_two_dimensions_are_a_grid_or_scattered(tmp_path, places):
    """Straight lines between places give a plane back at every node, and the mean of ``1 + x - y``."""
    domain = {"shape": "rectangle", "size": [1.0, 0.5], "cells": [6, 4]}
    x, y = (a.ravel() for a in np.meshgrid(np.linspace(0.0, 1.0, 11), np.linspace(0.0, 0.5, 6)))
    if places == "scattered":
        inside = (x > 0.0) & (x < 1.0) & (y > 0.0) & (y < 0.5)
        x, y = x + 0.03 * inside * np.sin(40.0 * y), y + 0.03 * inside * np.cos(40.0 * x)
    write(tmp_path / "first.csv", "y,A,x", np.column_stack([y, MEAN * (1.0 + x - y) / 1.25, x]))
    motion = pnp.run(closed_cell(tmp_path, domain=domain, end=1e-8))
    end = motion.to_xarray()
    exact = MEAN * (1.0 + end.x - end.y) / 1.25
    assert np.abs(end.concentration.sel(species="A") - exact).max() < 1e-4 * MEAN
    assert motion.series.amount_A.values == pytest.approx(0.5 * MEAN, rel=1e-5)


@pytest.mark.parametrize(
    ("head", "rows", "sentence"),
    [
        ("x,A", [[0.0, 0.1], [0.9, 0.1]], "does not cover the domain: there is nothing at x = "),
        ("x,A,B", [[0.0, 0.1, 0.1], [1.0, 0.1, 0.1]], 'a column "B" that says nothing here; '),
        ("x,a", [[0.0, 0.1], [1.0, 0.1]], 'a column "a" that says nothing here; '),
        ("x,packing", [[0.0, 0.1], [1.0, 0.1]], 'lacks the column "A"'),
        ("x,A,A", [[0.0, 0.1, 0.1], [1.0, 0.1, 0.1]], 'the column "A" more than once'),
        ("x,y,A", [[0.0, 0.0, 0.1], [1.0, 0.0, 0.1]], "but the domain has 1 dimension"),
        ("x [nm],A", [[0.0, 0.1], [1.0, 0.1]], 'the unit "nm" at "x", which has none in this case'),
        ("x,A", [[0.0, -0.1], [1.0, 0.1]], "a negative A in row 1"),
        ("x,A", [[0.5, 0.1], [0.0, 0.1], [1.0, 0.1]], "an x in row 2 below the one before"),
        ("x,A", [[0.0, np.nan], [1.0, 0.1]], "a number in row 1 that is not finite"),
        ("x,A", [[0.0, 0.1]], "two rows or more"),
        ("x,A", [[0.0, 0.0], [1.0, 0.0]], "has nothing in it"),
    ],
)
def test_what_is_no_beginning_is_refused(tmp_path, head, rows, sentence):
    write(tmp_path / "first.csv", head, np.array(rows))
    with pytest.raises(CaseError) as caught:
        pnp.run(closed_cell(tmp_path))
    assert sentence in str(caught.value)


@pytest.mark.parametrize("y", [[0.0, 0.0, 0.0], [0.0, 0.25, 0.5]])
def test_places_on_a_line_are_no_area(tmp_path, y):
    write(tmp_path / "first.csv", "x,y,A", np.column_stack([[0.0, 0.5, 1.0], y, [MEAN] * 3]))
    with pytest.raises(CaseError, match=r'"first\.csv" has places that span no area'):
        closed_cell(tmp_path, domain={"shape": "rectangle", "size": [1.0, 0.5], "cells": [6, 4]})


def test_a_table_beyond_full_packing_and_one_that_is_not_there_are_refused(tmp_path):
    first = {"state": "table", "file": "first.csv"}
    write(tmp_path / "first.csv", "x,A", np.array([[0.0, 0.5], [1.0, 1.02]]))
    case = {
        "model": {"units": "dimensionless", "law": "mpnp", "electrostatics": "imposed"},
        "species": [{"name": "A", "mean_fraction": MEAN}],
        "domain": {"shape": "interval", "length": 1.0},
        "time": {"end": END},
    }
    with pytest.raises(CaseError, match=r"fill 1\.02 of the space in row 2 \(packing"):
        pnp.Case(folder=tmp_path, **case, initial=first)
    with pytest.raises(CaseError, match=r'"second\.csv" is not there'):
        pnp.Case(folder=tmp_path, **case, initial=first | {"file": "second.csv"})


def test_more_than_the_mean_says_is_told_and_kept(tmp_path):
    write(tmp_path / "first.csv", "x,A", np.array([[0.0, 0.1], [1.0, 0.3]]))
    with pytest.warns(pnp.SolutionWarning, match="2 times as much of A as its mean says"):
        motion = pnp.run(closed_cell(tmp_path))
    assert motion.series.amount_A.values == pytest.approx(0.2, rel=1e-6)


def test_motion_whose_result_is_gone_keeps_its_own_and_does_not_go_on(tmp_path):
    """What a motion began from is known by its hash, taken as it began; to go on, a case needs all that it names."""
    write(tmp_path / "first.csv", "x,A", np.array([[0.0, 0.1], [1.0, 0.1]]))
    case = closed_cell(tmp_path, end=1e-3, checkpoint={"steps": 1})
    begun = tmp_path / "first.npz"
    pnp.run(case).save(begun)
    sha256 = hashlib.sha256(begun.read_bytes()).hexdigest()
    tables = case.as_written() | {"initial": {"state": "result", "file": begun.name}}
    tables["output"] = {"fields": False, "pictures": False}
    of_result = pnp.Case(folder=tmp_path, **tables)
    (tmp_path / "out").mkdir()
    motion = pnp.run(of_result, checkpoints=tmp_path / "out", on_row=lambda row: begun.unlink(missing_ok=True))
    assert manifest(motion, 1, [0])["files_sha256"] == {begun.name: sha256}
    for file, reason in (("first.npz", "is not there"), (".", "is a folder")):
        tables["initial"]["file"] = file
        with pytest.raises(CaseError, match=rf'\[initial\]: "{file}" {reason}; .* Solution\.save has written'):
            pnp.run(pnp.Case(folder=tmp_path, **tables), restart=tmp_path / "out")
