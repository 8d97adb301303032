"""A nanopore through a membrane between two baths, around its axis, in nanometres: half of the section, x is r.

A cone from the radius TIP at y = 0 to BASE at y = LENGTH; a cylinder where both are equal. The same drawing is the half
of a slit in a case without coordinates = "axisymmetric". Cells grow from FINE Debye lengths at the walls.

Regions "electrolyte" and "membrane" (for ions = false); boundaries "bottom", "top" (reservoirs), "side", "axis", and of
the membrane "pore" and "faces": inside the drawing, or on its surface where MEMBRANE = False leaves a hole.

    pnp-exclusion mesh meshes/nanopore.py
    pnp-exclusion mesh meshes/nanopore.py --set TIP=5 --set BASE=5 -o meshes/cylinder.msh
"""

from itertools import pairwise
from math import hypot

TIP, BASE, LENGTH = 3.0, 20.0, 80.0
BATH = 30.0
DEBYE = 0.96
FINE, GROWTH, COARSE = 0.28, 0.35, 8.0
"""The smallest cell in Debye lengths, how much cells grow per distance from a wall, the largest cell."""
MEMBRANE = True


def build(gmsh):
    """Make the geometry with its physical groups and sizes."""
    gmsh.model.add("nanopore")
    geo = gmsh.model.geo
    far = max(TIP, BASE) + BATH
    corners = {
        "axis bottom": (0.0, -BATH),
        "axis top": (0.0, LENGTH + BATH),
        "side top": (far, LENGTH + BATH),
        "face top": (far, LENGTH),
        "base": (BASE, LENGTH),
        "tip": (TIP, 0.0),
        "face bottom": (far, 0.0),
        "side bottom": (far, -BATH),
    }
    points = {name: geo.addPoint(x, y, 0.0) for name, (x, y) in corners.items()}
    lines = {}

    def region(*names):
        """The surface between corners; lines that are there already are taken, so that borders are shared."""
        loop = []
        for start, end in zip(names, (*names[1:], names[0]), strict=True):
            if (end, start) not in lines:
                lines[start, end] = geo.addLine(points[start], points[end])
            loop.append(lines.get((start, end)) or -lines[end, start])
        return geo.addPlaneSurface([geo.addCurveLoop(loop)])

    regions = {"electrolyte": region(*corners)}
    if MEMBRANE:
        regions["membrane"] = region("face bottom", "tip", "base", "face top")
    geo.synchronize()
    for name, surface in regions.items():
        gmsh.model.addPhysicalGroup(2, [surface], name=name)
    groups = {
        "bottom": [("side bottom", "axis bottom")],
        "top": [("axis top", "side top")],
        "side": [("side top", "face top"), ("face bottom", "side bottom")],
        "axis": [("axis bottom", "axis top")],
        "pore": [("base", "tip")],
        "faces": [("face top", "base"), ("tip", "face bottom")],
    }
    for name, pairs in groups.items():
        gmsh.model.addPhysicalGroup(1, [lines[pair] for pair in pairs], name=name)
    walls = ("face top", "base", "tip", "face bottom")
    set_sizes(gmsh, [(corners[start], corners[end]) for start, end in pairwise(walls)])


def set_sizes(gmsh, walls):
    """Let cells grow with the exact distance from the walls: a field of gmsh would sample them at a few points."""

    def size(dimension, tag, x, y, z, given):
        return min(FINE * DEBYE + GROWTH * min(distance(x, y, *wall) for wall in walls), COARSE)

    gmsh.model.mesh.setSizeCallback(size)
    for source in ("ExtendFromBoundary", "FromPoints", "FromCurvature"):
        gmsh.option.setNumber(f"Mesh.MeshSize{source}", 0)


def distance(x, y, start, end):
    """From a point to the straight line between two others."""
    along, up = end[0] - start[0], end[1] - start[1]
    share = ((x - start[0]) * along + (y - start[1]) * up) / (along**2 + up**2)
    share = min(max(share, 0.0), 1.0)
    return hypot(x - start[0] - share * along, y - start[1] - share * up)
