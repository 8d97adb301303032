"""Fields as VTKHDF, which ParaView and pyvista read, and h5py as plain arrays: straight cells through all nodes.

VTK has cells of higher degree, but integrates, cuts and contours them as if they were straight, without a word.
Here a cell of degree k is cut at its nodes into k^d straight ones, which every program takes to be what they are:
values are those of the solution at all points of the file, and linear between them. How far that is from the solution
is measured, and said in the file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mpi4py import MPI

import basix
import numpy as np

from pnp_exclusion.errors import MissingLibraryError, OneRankDiskError
from pnp_exclusion.mesh.pieces import straight_pieces
from pnp_exclusion.output.drawn_fields import DrawnFields
from pnp_exclusion.solution.unit_attributes import unit_attributes

VERSION = (2, 0)
"""Of VTKHDF, from which on it has steps in time."""
VTK_TYPES = {
    basix.CellType.interval: 3,
    basix.CellType.triangle: 5,
    basix.CellType.quadrilateral: 9,
    basix.CellType.tetrahedron: 10,
    basix.CellType.hexahedron: 12,
}
MIRRORED = {
    basix.CellType.interval: [0, 1],
    basix.CellType.triangle: [0, 2, 1],
    basix.CellType.quadrilateral: [0, 3, 2, 1],
    basix.CellType.tetrahedron: [0, 1, 3, 2],
    basix.CellType.hexahedron: [4, 5, 6, 7, 0, 1, 2, 3],
}
"""Corners of a cell of VTK whose orientation is the other one."""
INSTALL = 'install it: pip install h5py, or do without "vtkhdf" in fields of [output]'
"""What helps where there is no h5py."""
AT_ONCE = 200_000
"""Points at which the error is measured together."""


class VtkHdf:
    """A file of fields; every method is collective, each rank writing its own part in its turn.

    times
        Of the states that are written; None for one that has no time.
    """

    def __init__(self, path: Path, fields: DrawnFields, times: list[float] | None) -> None:
        self.path = path
        self.errors: dict[str, float] = {}
        """The largest distance from the solution, of every field between its nodes, so far, in its unit."""
        self._fields, self._times = fields, times
        self._nodes = fields.scalar.dofmap.index_map
        element = fields.scalar.element.basix_element
        self._cell, self._reference = element.cell_type, element.points
        self._pieces = straight_pieces(self._cell, self._reference)
        cells = fields.mesh.topology.index_map(fields.mesh.topology.dim)
        self._owned = cells.size_local
        self._first = len(self._pieces) * cells.local_range[0]
        self._cells = len(self._pieces) * cells.size_global

    def write(self, step: int) -> None:
        """Write what the fields show now as one of the states."""
        if step == 0:
            self._in_turn(self._begin, anew=True)
        for name, error in self._measured().items():
            self.errors[name] = max(error, self.errors.get(name, 0.0))
        self._in_turn(lambda file: self._write(file, step))

    def close(self) -> None:
        """Say in the file what was measured."""
        self._in_turn(self._finish)

    def _in_turn(self, work: Callable[[Any], None], anew: bool = False) -> None:
        h5py, comm = _h5py(), self._fields.mesh.comm
        for rank in range(comm.size):
            if rank == comm.rank:
                modes = ("w+b", "w") if anew and rank == 0 else ("r+b", "r+")
                try:
                    # HDF5 writing a stream of Python's says what the system said, and leaves no noise on a full disk
                    with self.path.open(modes[0]) as stream, h5py.File(stream, modes[1]) as file:
                        work(file)
                except OSError as error:
                    reason = os.strerror(error.errno) if error.errno else error
                    raise OneRankDiskError(f"cannot write {self.path.name}: {reason}") from None
            comm.Barrier()

    def _begin(self, file: Any) -> None:
        """Make everything in its full size, and write this rank's part of the mesh."""
        h5py = _h5py()
        fields, scales = self._fields, self._fields.scales
        corners = self._pieces.shape[1]
        if fields.mesh.comm.rank == 0:
            root = file.create_group("VTKHDF")
            root.attrs["Version"] = VERSION
            kind = b"UnstructuredGrid"
            root.attrs.create("Type", kind, dtype=h5py.string_dtype("ascii", len(kind)))
            root["NumberOfPoints"] = [self._nodes.size_global]
            root["NumberOfCells"] = [self._cells]
            root["NumberOfConnectivityIds"] = [self._cells * corners]
            points = root.create_dataset("Points", (self._nodes.size_global, 3), "f8")
            points.attrs.update(unit_attributes(scales.length_unit or "L"))
            root.create_dataset("Connectivity", (self._cells * corners,), "i8")
            root["Offsets"] = corners * np.arange(self._cells + 1)
            root["Types"] = np.full(self._cells, VTK_TYPES[self._cell], dtype=np.uint8)
            states = 1 if self._times is None else len(self._times)
            for where, functions, count in self._arrays():
                for name in functions:
                    shape = (states * count, 3) if name in fields.vectors else (states * count,)
                    array = root.create_dataset(f"{where}/{name}", shape, "f8")
                    array.attrs.update(unit_attributes(fields.units[name]))
            if self._times is not None:
                self._begin_steps(root)
        root = file["VTKHDF"]
        points = fields.scalar.tabulate_dof_coordinates() * scales.length_in_unit
        root["Points"][slice(*self._nodes.local_range)] = points[: self._nodes.size_local]
        here = slice(self._first * corners, (self._first + self._owned * len(self._pieces)) * corners)
        root["Connectivity"][here] = self._connectivity(points).ravel()

    def _begin_steps(self, root: Any) -> None:
        times = np.array(self._times)
        every, none = np.arange(len(times)), np.zeros(len(times), dtype=np.int64)
        steps = root.create_group("Steps")
        steps.attrs["NSteps"] = len(times)
        steps["Values"] = times
        steps["Values"].attrs.update(unit_attributes("s" if self._fields.scales.si else "L^2/D"))
        steps["NumberOfParts"] = none + 1
        for name in ("PartOffsets", "PointOffsets"):
            steps[name] = none
        for name in ("CellOffsets", "ConnectivityIdOffsets"):
            steps[name] = none[:, None]
        for where, functions, count in self._arrays():
            for name in functions:
                steps[f"{where}Offsets/{name}"] = every * count

    def _arrays(self) -> list[tuple[str, dict[str, Any], int]]:
        fields = self._fields
        return [("PointData", fields.nodal, self._nodes.size_global), ("CellData", fields.cellwise, self._cells)]

    def _connectivity(self, points: np.ndarray) -> np.ndarray:
        """Return the corners of this rank's straight cells in numbers of all ranks, ``(cells, corners)``."""
        nodes = self._fields.scalar.dofmap.list[: self._owned]
        cells = nodes[:, self._pieces].reshape(-1, self._pieces.shape[1])
        dimension = self._fields.mesh.topology.dim
        if dimension > 1:
            # cells of DOLFINx have either orientation, those of VTK one
            beside = {3: [1, 2], 4: [1, 3] if self._cell == basix.CellType.quadrilateral else [1, 2, 3], 8: [1, 3, 4]}
            edges = points[cells[:, beside[cells.shape[1]]]] - points[cells[:, :1]]
            mirrored = np.linalg.det(edges[:, :, :dimension]) < 0.0
            cells[mirrored] = cells[mirrored][:, MIRRORED[self._cell]]
        numbers: np.ndarray = self._nodes.local_to_global(cells.ravel().astype(np.int32)).reshape(cells.shape)
        return numbers

    def _write(self, file: Any, step: int) -> None:
        root = file["VTKHDF"]
        low, high = self._nodes.local_range
        for name, function in self._fields.nodal.items():
            components = function.function_space.dofmap.index_map_bs
            values = function.x.array.reshape(-1, components)[: high - low]
            array = root[f"PointData/{name}"]
            start = step * self._nodes.size_global + low
            if name in self._fields.vectors:
                array[start : start + high - low] = np.pad(values, ((0, 0), (0, 3 - components)))
            else:
                array[start : start + high - low] = values[:, 0]
        count = len(self._pieces)
        for name, function in self._fields.cellwise.items():
            start = step * self._cells + self._first
            values = np.repeat(function.x.array[: self._owned], count)
            root[f"CellData/{name}"][start : start + len(values)] = values

    def _finish(self, file: Any) -> None:
        """Say of every field in which unit it is, and how far it is from the solution between the points."""
        h5py, fields = _h5py(), self._fields
        if fields.mesh.comm.rank != 0:
            return
        root = file["VTKHDF"]
        for name, error in self.errors.items():
            root[f"PointData/{name}"].attrs["sampling_error"] = error
        texts = {
            "length_unit": [fields.scales.length_unit or "L"],
            "units": [f"{name}: {unit or '1'}" for name, unit in fields.units.items()],
            "sampling_error": [
                f"{name}: {error:.3g} {fields.units[name]}".rstrip() for name, error in self.errors.items()
            ],
        }
        for name, lines in texts.items():
            # VTK reads texts of this one type
            root.create_dataset(f"FieldData/{name}", data=lines, dtype=h5py.string_dtype("ascii"))
            if self._times is not None:
                states = len(self._times)
                root[f"Steps/FieldDataOffsets/{name}"] = np.zeros(states, dtype=np.int64)
                root[f"Steps/FieldDataSizes/{name}"] = np.tile([1, len(lines)], (states, 1))

    def _measured(self) -> dict[str, float]:
        """Return how far straight pieces are from the solution, at the middles of themselves and of their edges.

        There a parabola is farthest from them. Collective.
        """
        fields = self._fields
        edges = {tuple(sorted(pair)) for piece in self._pieces for pair in _edges(self._cell, piece)}
        groups = [*sorted(edges), *map(tuple, self._pieces.tolist())]
        weights = np.zeros((len(groups), len(self._reference)))
        for weight, corners in zip(weights, groups, strict=True):
            weight[list(corners)] = 1.0 / len(corners)
        solved = fields.space.element.basix_element.tabulate(0, weights @ self._reference)[0, :, :, 0]
        of_cells, energies = fields.space.dofmap.list[: self._owned], fields.discrete.partition_of_cells
        unknowns = fields.discrete.layout.at_nodes(fields.solved.x.array)
        nodes = fields.scalar.dofmap.list
        scalars = {name: one for name, one in fields.nodal.items() if name not in fields.vectors}
        largest = dict.fromkeys(scalars, 0.0)
        for start in range(0, self._owned, max(1, AT_ONCE // len(groups))):
            part = slice(start, min(self._owned, start + max(1, AT_ONCE // len(groups))))
            there = np.einsum("sn,cnu->csu", solved, unknowns[of_cells[part]])
            partition = None if energies is None else np.repeat(energies[:, part], len(groups), axis=1)
            exact = fields.at(there.reshape(-1, there.shape[2]), partition)
            for name, function in scalars.items():
                straight = function.x.array[nodes[part]] @ weights.T
                apart = np.abs(exact[name].reshape(straight.shape) - straight)
                largest[name] = max(largest[name], float(np.nan_to_num(apart, nan=0.0).max(initial=0.0)))
        found = np.array(list(largest.values()))
        fields.mesh.comm.Allreduce(MPI.IN_PLACE, found, op=MPI.MAX)
        return dict(zip(largest, found.tolist(), strict=True))


def _edges(cell: basix.CellType, piece: np.ndarray) -> list[tuple[int, int]]:
    """Return pairs of corners of a cell of VTK that an edge joins."""
    around = [(0, 1), (1, 2), (2, 3), (3, 0)]
    match cell:
        case basix.CellType.quadrilateral:
            pairs = around
        case basix.CellType.hexahedron:
            pairs = [*around, *((a + 4, b + 4) for a, b in around), *((a, a + 4) for a in range(4))]
        case _:
            pairs = [(a, b) for b in range(len(piece)) for a in range(b)]
    return [(int(piece[a]), int(piece[b])) for a, b in pairs]


def _h5py() -> Any:
    """Import what writes HDF5: not for every command, as it takes longer to import than a small file to write.

    Raises `MissingLibraryError` where another HDF5 is in its way (`pnp_exclusion.runtime.fenicsx.import_dolfinx`).
    """
    try:
        import h5py
    except (ImportError, ValueError) as error:
        # the HDF5 of another library is a ValueError
        cure = "import it before dolfinx" if isinstance(error, ValueError) else INSTALL
        reason = " ".join(str(error).split())
        raise MissingLibraryError(f"h5py, which writes fields.vtkhdf, cannot be imported ({reason}); {cure}") from None
    return h5py


def require_h5py(comm: MPI.Comm) -> None:
    """Raise `MissingLibraryError` on every rank if one cannot import h5py: to be asked before what takes long."""
    try:
        _h5py()
        mistake = ""
    except MissingLibraryError as error:
        mistake = str(error)
    if told := next(filter(None, comm.allgather(mistake)), ""):
        raise MissingLibraryError(told)
