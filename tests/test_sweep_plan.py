"""Which points a sweep has, in which order and chunks, and that all are checked before anything runs."""

from __future__ import annotations

import time

import numpy as np
import pytest
from conftest import EXAMPLES, dimensionless_case, example

from pnp_exclusion.case import checks
from pnp_exclusion.case.case import Case, checked_case, make_case
from pnp_exclusion.errors import CaseError
from pnp_exclusion.studies.sweeps.design import corners
from pnp_exclusion.studies.sweeps.plan import Plan, plan_of

FIELD_A = {"key": "species.A.field", "from": -10.0, "to": 10.0}
FIELD_B = {"key": "species.B.field", "values": [-4.0, 0.0, 4.0]}
LAW = {"key": "model.law", "values": ["shdl", "mpnp"]}


def swept(*axes: dict, **sweep: object) -> Case:
    return make_case(dimensionless_case() | {"sweep": {"axes": list(axes), **sweep}})


def points(plan: Plan) -> list[tuple]:
    return [plan.design.coordinates(point) for point in range(plan.size)]


def chunks(plan: Plan) -> list[list[int]]:
    return [[point.index for point in chunk.points] for chunk in plan.chunks(np.ones(plan.size, dtype=bool))]


def test_grid_has_every_combination_with_the_last_axis_fastest():
    plan = plan_of(swept(FIELD_A | {"count": 2}, FIELD_B))
    assert points(plan) == [(a, b) for a in (-10.0, 10.0) for b in (-4.0, 0.0, 4.0)]
    assert plan.design.shape == (2, 3)


def test_list_takes_its_axes_row_by_row():
    plan = plan_of(swept({"key": "species.A.field", "values": [1.0, 2.0, 2.0]}, FIELD_B, design="list"))
    assert points(plan) == [(1.0, -4.0), (2.0, 0.0), (2.0, 4.0)]


def test_random_points_lie_within_the_limits_and_depend_on_the_seed_alone():
    first, same, other = (
        np.array(points(plan_of(swept(FIELD_A, FIELD_B, design="random", points=200, seed=seed)))) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)
    assert -10.0 <= first[:, 0].min() < -8.0 and 8.0 < first[:, 0].max() <= 10.0
    assert set(first[:, 1]) == {-4.0, 0.0, 4.0}


def test_latin_hypercube_has_one_point_in_every_slice_of_every_axis():
    second = {"key": "species.B.field", "from": 1.0, "to": 9.0}
    found = np.array(points(plan_of(swept(FIELD_A, second, design="latin-hypercube", points=50, seed=3))))
    for column, (low, high) in zip(found.T, [(-10.0, 10.0), (1.0, 9.0)], strict=True):
        slices = np.floor((column - low) / (high - low) * 50).astype(int)
        assert sorted(slices) == list(range(50))
    assert abs(np.corrcoef(found.T)[0, 1]) < 0.5


def test_chunks_are_neighbours_and_have_every_point_once():
    """Of a grid every step along the path changes one axis by one value."""
    plan = plan_of(swept(FIELD_A | {"count": 7}, FIELD_B, chunk=4))
    assert sorted(index for chunk in chunks(plan) for index in chunk) == list(range(21))
    assert [len(chunk) for chunk in chunks(plan)] == [4, 4, 4, 4, 4, 1]
    path = np.concatenate(chunks(plan))
    steps = np.abs(np.diff(np.stack(np.unravel_index(path, (7, 3)), axis=1), axis=0))
    assert (steps.sum(axis=1) == 1).all()


def test_chunks_of_drawn_points_are_near_each_other():
    """Much nearer than points taken in the order in which they were drawn."""
    second = {"key": "species.B.field", "from": 1.0, "to": 9.0}
    plan = plan_of(swept(FIELD_A, second, design="random", points=400))
    path = np.concatenate(chunks(plan))
    assert sorted(path) == list(range(400))
    positions = plan.design.positions
    apart = np.linalg.norm(np.diff(positions[path], axis=0), axis=1).mean()
    assert apart < 0.25 * np.linalg.norm(np.diff(positions, axis=0), axis=1).mean()


def test_chunks_do_not_mix_cases_that_differ_in_more_than_numbers():
    plan = plan_of(swept(LAW, FIELD_B, chunk=2))
    assert chunks(plan) == [[0, 1], [2], [5, 4], [3]]
    assert plan.groups.tolist() == [0, 0, 0, 1, 1, 1]


def test_chunk_size_follows_the_dimension():
    sizes = [plan_of(make_case(case_of(dimension))).chunk_size for dimension in (1, 2, 3)]
    assert sizes == [25, 4, 1]


def case_of(dimension: int) -> dict:
    tables = dimensionless_case() | {"sweep": {"axes": [FIELD_B]}}
    if dimension > 1:
        tables["domain"] = {"shape": ["", "", "rectangle", "box"][dimension], "size": [1.0] * dimension}
    return tables


def test_wanted_points_bring_their_whole_chunk_and_parts_share_the_chunks():
    plan = plan_of(swept(FIELD_A | {"count": 12}, chunk=3))
    wanted = np.zeros(12, dtype=bool)
    wanted[4] = True
    assert [chunk.number for chunk in plan.chunks(wanted)] == [1]
    parts = [[chunk.number for chunk in plan.chunks(~wanted, part, 3)] for part in range(3)]
    assert parts == [[0, 3], [1], [2]]


def test_mesh_is_made_for_the_points_farthest_out():
    grid = np.stack(np.meshgrid(np.linspace(0, 1, 20), np.linspace(0, 1, 20), indexing="ij"), axis=-1).reshape(-1, 2)
    assert set(corners(grid)) >= {0, 19, 380, 399}
    assert len(corners(grid)) < 20
    assert corners(grid[:5]) == [0, 1, 2, 3, 4]


# ---- checks before anything runs ----


def test_points_that_make_no_case_are_listed_with_their_coordinates(membrane: dict):
    salt = ["boundaries.left.concentration.Na", "boundaries.left.concentration.Cl"]
    axis = {"keys": salt, "name": "salt", "values": [f"{c} mol/L" for c in (1.0, 2.0, 2.5, 3.0)]}
    membrane["sweep"] = {"axes": [axis, {"key": "boundaries.right.potential", "values": ["0 V", "0.1 V"]}]}
    with pytest.raises(CaseError) as caught:
        plan_of(make_case(membrane))
    assert len(caught.value.mistakes) == 4
    assert caught.value.mistakes[0].startswith(
        'at salt = 2.5 mol/L, right_potential = 0 V: [[boundaries]] "left": the species fill 1.0'
    )


def test_long_list_of_mistakes_ends_with_how_many_there_are(membrane: dict):
    membrane["sweep"] = {
        "axes": [{"key": "boundaries.left.concentration.Na", "from": "-2 mol/L", "to": "-1 mol/L", "count": 25}]
    }
    with pytest.raises(CaseError) as caught:
        plan_of(make_case(membrane))
    assert len(caught.value.mistakes) == 11
    assert caught.value.mistakes[-1] == "and 15 more of the 25 points make no case either"


def test_case_without_a_sweep_is_told_what_is_missing():
    with pytest.raises(CaseError, match=r"\[sweep\]: this table is missing"):
        plan_of(make_case(dimensionless_case()))


def test_cases_of_points_are_those_that_a_full_check_makes(membrane: dict):
    """Reference: the checks of a case file without memory of other points."""
    axes = [
        {"key": "boundaries.left.potential", "values": ["-40 mV", "0.1 V"]},
        {"key": "model.law", "values": ["mpnp", "vacancy"]},
        {"key": "regions.membrane.x.2", "values": ["3 nm", "3.5 nm"]},
    ]
    plan = plan_of(make_case(membrane | {"sweep": {"axes": axes}}))
    for coordinates in points(plan):
        case = plan.cases.case(coordinates)
        assert case == checked_case(case.as_written(), case.path)
        assert case.model.law == coordinates[1]
        assert case.sweep is None


def test_check_of_a_point_is_cheap_beside_its_solution():
    """Below 2 ms each on a busy machine (0.1 ms seen for these, 0.5 ms for the membrane); a solution takes 5 ms."""
    case = swept(FIELD_A | {"count": 300}, FIELD_B)
    begun = time.process_time()
    plan = plan_of(case)
    assert (time.process_time() - begun) / plan.size < 2e-3


def test_law_is_tried_out_once_for_all_points(monkeypatch: pytest.MonkeyPatch):
    case = swept(FIELD_A | {"count": 7}, FIELD_B, LAW)
    tried = []
    monkeypatch.setattr(checks, "_misfit", lambda law, diffusivities: tried.append(law.name) or "")
    plan = plan_of(case)
    for coordinates in points(plan):
        plan.work.cases.case(coordinates)
    assert sorted(tried) == ["mpnp", "shdl"]


def test_mesh_file_is_looked_into_once(monkeypatch: pytest.MonkeyPatch):
    tables = example("slit")
    tables["sweep"] = {"axes": [{"key": "boundaries.left.potential", "from": "0 mV", "to": "50 mV", "count": 6}]}
    case = make_case(tables, EXAMPLES)
    looked, mesh_groups = [], checks.mesh_groups
    monkeypatch.setattr(checks, "mesh_groups", lambda path: looked.append(path) or mesh_groups(path))
    plan_of(case)
    assert len(looked) == 1
    checked_case(case.as_written(), case.path)
    assert len(looked) == 2


# ---- which sweeps are the same ----


def test_fingerprint_tells_what_changes_results_and_nothing_else():
    axis = FIELD_A | {"count": 3}
    same = plan_of(swept(axis)).fingerprint
    assert (
        plan_of(make_case(swept(axis).as_written() | {"title": "other", "output": {"fields": False}})).fingerprint
        == same
    )
    others = [swept(axis | {"count": 4}), swept(axis, chunk=2), swept(axis, FIELD_B), swept(axis | {"name": "drive"})]
    tables = swept(axis).as_written()
    tables["boundaries"][0]["fraction"]["A"] = 0.21
    others.append(make_case(tables))
    fingerprints = [plan_of(case).fingerprint for case in others]
    fingerprints.append(plan_of(swept(axis), ["-ksp_type", "gmres"]).fingerprint)
    assert len({same, *fingerprints}) == 7
