"""Zero lines on the unit square: known curves, found to the accuracy asked for, with few evaluations."""

from __future__ import annotations

import numpy as np
import pytest

from pnp_exclusion.studies.diagram import arrangement
from pnp_exclusion.studies.diagram.trace import trace

CENTRE = np.array([0.437, 0.51])


def of(*functions):
    """Functions of x and y as one of points."""
    return lambda points: np.column_stack([function(*points.T) for function in functions])


def circle(radius: float):
    return lambda x, y: (x - CENTRE[0]) ** 2 + (y - CENTRE[1]) ** 2 - radius**2


@pytest.mark.parametrize("radius", [0.05, 0.1, 0.4])
@pytest.mark.parametrize("accuracy", [1e-3, 1e-4, 1e-6])
def test_circle_is_one_closed_line_within_the_accuracy_and_has_its_area(radius: float, accuracy: float):
    """The lattice's cells are 0.17 wide: the smallest circle holds none of its nodes."""
    tracing = trace(of(circle(radius)), accuracy=accuracy)
    (line,) = tracing.lines
    assert line.closed
    apart = np.abs(np.linalg.norm(line.points - CENTRE, axis=1) - radius)
    middle = 0.5 * (line.points[1:] + line.points[:-1])
    chords = np.abs(np.linalg.norm(middle - CENTRE, axis=1) - radius)
    assert max(apart.max(), chords.max()) < accuracy
    faces = arrangement.faces(arrangement.unit_square(), [line.points])
    (inside,) = (face for face in faces if arrangement.inside(face, CENTRE[None], 0.0)[0])
    assert inside.area == pytest.approx(np.pi * radius**2, abs=2 * np.pi * radius * accuracy)


def test_halving_the_error_takes_few_more_evaluations():
    """The spline through the roots is of fourth order: a thousandth of the error at 1000**(1/4) = 6 times the cost."""
    counts = [trace(of(circle(0.4)), accuracy=accuracy).evaluations for accuracy in (1e-4, 1e-7)]
    assert counts[1] < 6 * counts[0]
    assert counts[0] < 250


def test_straight_line_takes_little_more_than_the_coarse_lattice():
    tracing = trace(of(lambda x, y: 3.0 * x - y - 0.7))
    (line,) = tracing.lines
    assert tracing.evaluations < 49 + 40
    np.testing.assert_allclose(3.0 * line.points[:, 0] - line.points[:, 1], 0.7, atol=1e-9)
    assert {*np.round(line.points[[0, -1], 1], 12)} == {0.0, 1.0}


def test_line_through_the_nodes_themselves_and_drowned_in_rounding():
    noise = np.random.default_rng(3)
    (line,) = trace(of(lambda x, y: (x - 0.5) + 1e-12 * noise.standard_normal(len(x)))).lines
    np.testing.assert_allclose(line.points[:, 0], 0.5, atol=1e-6)
    # where a line through noise leaves the square is rounded
    assert sorted(line.points[[0, -1], 1]) == pytest.approx([0.0, 1.0], abs=1e-15)


def test_many_separate_lines_are_all_found():
    """cos 9x cos 7y = 0.2 has three closed or cut ovals in each direction; the regions cover the share they should."""
    tracing = trace(of(lambda x, y: np.cos(9 * x) * np.cos(7 * y) - 0.2), accuracy=1e-4)
    grid = (np.arange(1500) + 0.5) / 1500
    x, y = np.meshgrid(grid, grid)
    expected = np.mean(np.cos(9 * x) * np.cos(7 * y) > 0.2)
    faces = arrangement.faces(arrangement.unit_square(), [line.points for line in tracing.lines])
    centres = [arrangement.inner_point(face, 1e-4) for face in faces]
    found = sum(f.area for f, (u, v) in zip(faces, centres, strict=True) if np.cos(9 * u) * np.cos(7 * v) > 0.2)
    assert found == pytest.approx(expected, abs=1e-3)


def test_crossing_lines_meet_in_the_polished_point_and_divide_the_square_exactly():
    """y = x^2 and y = 1 - x cross where x^2 + x = 1: at the golden ratio less one."""
    functions = of(lambda x, y: y - x**2, lambda x, y: (y + x - 1.0) * np.exp(x))
    tracing = trace(functions, accuracy=1e-5)
    first, second = (line.points for line in tracing.lines)
    (start,) = arrangement.crossings(first, second)
    node = np.argmin(np.linalg.norm(tracing.samples.nodes - start, axis=1))
    point = arrangement.polished(functions, [0, 1], start, tracing.samples.slopes[node], 1e-9)
    golden = 0.5 * (np.sqrt(5.0) - 1.0)
    np.testing.assert_allclose(point, [golden, 1.0 - golden], atol=1e-12)
    lines = [arrangement.with_point(line, point) for line in (first, second)]
    areas = sorted(face.area for face in arrangement.faces(arrangement.unit_square(), lines))
    below_both = golden**3 / 3.0 + 0.5 * (1.0 - golden) ** 2
    parts = [below_both, 1.0 / 3.0 - below_both, 0.5 - below_both, 1.0 - 1.0 / 3.0 - 0.5 + below_both]
    assert areas == pytest.approx(sorted(parts), abs=1e-5)


@pytest.mark.parametrize("steepness", [1.0, 40.0])
def test_sharp_bend_is_followed_also_if_the_function_is_flat_elsewhere(steepness: float):
    """A hyperbola that turns by a right angle within half of the finest cell; its error is estimated, to a factor 2."""

    def height(x):
        return 0.3 + np.hypot(x - 0.512, 0.02)

    (line,) = trace(of(lambda x, y: np.tanh(steepness * (y - height(x)))), accuracy=1e-4).lines
    slope = (line.points[:, 0] - 0.512) / np.hypot(line.points[:, 0] - 0.512, 0.02)
    assert (np.abs(line.points[:, 1] - height(line.points[:, 0])) / np.hypot(1.0, slope)).max() < 2e-4


def test_where_there_are_no_values_there_are_no_lines_and_the_rest_is_found():
    tracing = trace(of(lambda x, y: np.where(x + y > 1.2, np.nan, x - y - 0.1)))
    (line,) = tracing.lines
    np.testing.assert_allclose(line.points[:, 0] - line.points[:, 1], 0.1, atol=1e-6)
    assert line.points.sum(axis=1).max() == pytest.approx(1.2, abs=2 / 24)
    part = arrangement.known_part(tracing.samples)
    assert part.area == pytest.approx(1.0 - 0.5 * 0.8**2, abs=0.05)
    assert len(arrangement.faces(part, [line.points])) == 2


def test_nowhere_a_value_and_nowhere_a_zero():
    assert trace(of(lambda x, y: np.full_like(x, np.nan))).lines == []
    assert trace(of(lambda x, y: 1.0 + x)).evaluations == 49


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="resolution must be 3 or more"):
        trace(of(lambda x, y: x), resolution=2)
