"""Points are found in the cell that has them, however small it is and wherever in it they lie."""

from __future__ import annotations

from pathlib import Path

from mpi4py import MPI

import numpy as np
import pytest
from dolfinx import fem
from dolfinx import mesh as dmesh
from msh import QUADRANGLE, Square, write_msh

from pnp_exclusion.mesh.domain import tensor_domain
from pnp_exclusion.mesh.gmsh_domain import gmsh_domain
from pnp_exclusion.mesh.locate import cells_of_points
from pnp_exclusion.observe.sample import values_at


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_points_in_cells_graded_over_nine_orders_are_found_where_they_are(dimension: int):
    """The cells of points made from their corners are known, whether inside, on a face or a corner."""
    along = np.concatenate([[0.0], np.geomspace(1e-9, 1.0, 12)])
    domain = tensor_domain(MPI.COMM_SELF, [along] * dimension)
    corners = domain.mesh.geometry.x[domain.mesh.geometry.dofmaps[0]]
    cells, random = np.arange(len(corners)), np.random.default_rng(3)
    inside = random.dirichlet(np.ones(dimension + 1), len(cells))
    np.testing.assert_array_equal(cells_of_points(domain.mesh, np.einsum("cn,cnd->cd", inside, corners)), cells)
    function = fem.Function(fem.functionspace(domain.mesh, ("Lagrange", 1)))
    function.x.array[:] = random.random(len(function.x.array))
    at_corners = function.x.array[function.function_space.dofmap.list]
    for count in range(1, dimension + 1):
        # on corners, edges and faces the function is continuous, so that any cell there will do
        weights = np.zeros((len(cells), dimension + 1))
        weights[:, :count] = random.dirichlet(np.ones(count), len(cells))
        found = values_at(np.einsum("cn,cnd->cd", weights, corners), [function])[0][:, 0]
        np.testing.assert_allclose(found, np.einsum("cn,cn->c", weights, at_corners), atol=1e-5)


def test_points_that_rounding_moved_off_a_face_are_found():
    """The lengths are no powers of two, so that their products and quotients are off by rounding."""
    nodes = [np.linspace(0.0, 0.3, 8), np.linspace(0.0, 0.7, 8)]
    domain = tensor_domain(MPI.COMM_SELF, nodes)
    on_side = np.array([[0.1 * 3.0, y, 0.0] for y in np.linspace(0.0, 0.7, 50) * (1.0 + 2e-16)])
    assert (on_side[:, 0] > 0.3).all()
    assert (cells_of_points(domain.mesh, on_side) >= 0).all()


def test_points_outside_have_no_value():
    domain = tensor_domain(MPI.COMM_SELF, [np.linspace(0.0, 1.0, 5)] * 2)
    function = fem.Function(domain.cellwise_space)
    values = values_at(np.array([[0.5, 0.5, 0.0], [1.0 + 1e-6, 0.5, 0.0], [3.0, 3.0, 0.0]]), [function])[0]
    assert np.isfinite(values[0]).all() and np.isnan(values[1:]).all()


def test_points_in_crooked_quadrangles_are_found_where_they_are(tmp_path: Path):
    """The cells of points made from reference coordinates are known."""
    s = Square(6, 6)
    inner = np.all((s.points > 0.0) & (s.points < 1.0), axis=1)
    s.points[inner] += np.random.default_rng(5).uniform(-0.04, 0.04, (inner.sum(), 2))
    mesh = gmsh_domain(
        MPI.COMM_SELF, write_msh(tmp_path / "crooked.msh", s.points, [(QUADRANGLE, 1, 1, s.quadrangles)])
    ).mesh
    cells = np.arange(36, dtype=np.int32)
    corners = mesh.geometry.x[mesh.geometry.dofmaps[0]]
    for a, b in ((0.5, 0.5), (0.02, 0.9), (0.99, 0.99)):
        weights = [(1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b]
        np.testing.assert_array_equal(cells_of_points(mesh, np.einsum("n,cnd->cd", weights, corners)), cells)


def test_nodes_of_curved_cells_are_found(tmp_path: Path):
    """Second-order triangles around a circle: their nodes on the arc lie on faces that are not straight."""
    gmsh = pytest.importorskip("gmsh")
    gmsh.initialize(["-noenv"], interruptible=False)
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.model.occ.addDisk(0.0, 0.0, 0.0, 1.0, 1.0)
        gmsh.model.occ.synchronize()
        gmsh.option.setNumber("Mesh.MeshSizeMax", 0.4)
        gmsh.option.setNumber("Mesh.ElementOrder", 2)
        gmsh.model.mesh.generate(2)
        gmsh.write(str(tmp_path / "disk.msh"))
    finally:
        gmsh.finalize()
    mesh = gmsh_domain(MPI.COMM_SELF, tmp_path / "disk.msh").mesh
    points = mesh.geometry.x
    cells = cells_of_points(mesh, points)
    assert (cells >= 0).all()
    middles = dmesh.compute_midpoints(mesh, 2, cells)
    assert (np.linalg.norm(middles - points, axis=1) < 0.4).all()
