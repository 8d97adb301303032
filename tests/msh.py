"""gmsh files written by hand, in the text form of format 2.2: every element says its groups, entity and nodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

LINE, TRIANGLE, QUADRANGLE, TETRAHEDRON, HEXAHEDRON, PRISM, PYRAMID = range(1, 8)
"""gmsh's numbers of the kinds of elements."""


def write_msh(path: Path, points, blocks, names=()) -> Path:
    """Write points ``(n, 2 or 3)`` and elements.

    blocks
        Kind, number of the physical group (0 for none), number of the entity, and nodes from 0, ``(elements, nodes)``.
    names
        Dimension, number and name of groups.
    """
    points = np.column_stack([points, np.zeros((len(points), 3 - np.shape(points)[1]))])
    lines = ["$MeshFormat", "2.2 0 8", "$EndMeshFormat"]
    if names:
        lines += ["$PhysicalNames", str(len(names)), *(f'{d} {n} "{name}"' for d, n, name in names)]
        lines += ["$EndPhysicalNames"]
    lines += ["$Nodes", str(len(points))]
    lines += [f"{i} {x!r} {y!r} {z!r}" for i, (x, y, z) in enumerate(points.tolist(), start=1)]
    elements = [(kind, group, entity, nodes) for kind, group, entity, all_ in blocks for nodes in all_]
    lines += ["$EndNodes", "$Elements", str(len(elements))]
    for number, (kind, group, entity, nodes) in enumerate(elements, start=1):
        lines.append(f"{number} {kind} 2 {group} {entity} {' '.join(str(n + 1) for n in nodes)}")
    path.write_text("\n".join([*lines, "$EndElements", ""]))
    return path


class Square:
    """A rectangle of ``nx * ny`` quadrangles, or twice as many triangles; ``first`` is the number of its first node."""

    def __init__(self, nx: int, ny: int, low=(0.0, 0.0), high=(1.0, 1.0), first: int = 0) -> None:
        x, y = np.meshgrid(*(np.linspace(low[i], high[i], n + 1) for i, n in enumerate((nx, ny))), indexing="ij")
        self.points = np.column_stack([x.ravel(), y.ravel()])
        self.numbers = first + np.arange(len(self.points)).reshape(nx + 1, ny + 1)

    @property
    def quadrangles(self) -> np.ndarray:
        n = self.numbers
        return np.stack([n[:-1, :-1], n[1:, :-1], n[1:, 1:], n[:-1, 1:]], axis=-1).reshape(-1, 4)

    @property
    def triangles(self) -> np.ndarray:
        return np.concatenate([self.quadrangles[:, [0, 1, 2]], self.quadrangles[:, [0, 2, 3]]])

    def side(self, name: str) -> np.ndarray:
        """The lines on a side, ``(lines, 2)``."""
        n = {
            "left": self.numbers[0],
            "right": self.numbers[-1],
            "bottom": self.numbers[:, 0],
            "top": self.numbers[:, -1],
        }[name]
        return np.column_stack([n[:-1], n[1:]])


def diffusion(mesh: Path, boundaries: list[dict], regions: list[dict] = (), **model) -> dict:
    """The tables of one neutral species that diffuses through a mesh."""
    return {
        "model": {"units": "dimensionless", "law": "pnp", "electrostatics": "imposed", **model},
        "species": [{"name": "A"}],
        "domain": {"shape": "gmsh", "file": str(mesh)},
        "regions": list(regions),
        "boundaries": boundaries,
    }


def holds(where, amount: float) -> dict:
    """A reservoir of the neutral species."""
    return {"where": where, "kind": "reservoir", "fraction": {"A": amount}}
