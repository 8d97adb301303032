"""A nanopore through a membrane between two baths in three dimensions, in nanometres: a piece around the axis.

A cone from the radius TIP at y = 0 to BASE at y = LENGTH; a cylinder where both are equal. Currents are those of ANGLE
degrees (below 180) of the whole turn; its two cuts are planes of symmetry. Cells are of order 2, so that the wall is
round, and grow from FINE Debye lengths at the walls.

Regions "electrolyte" and "membrane" (for ions = false); boundaries "bottom", "top" (reservoirs), "side", and of the
membrane "pore" and "faces": inside the drawing, or on its surface where MEMBRANE = False leaves a hole.

    pnp-exclusion mesh meshes/nanopore_3d.py
"""

from itertools import pairwise
from math import hypot, pi

TIP, BASE, LENGTH = 2.0, 4.0, 10.0
BATH = 6.0
ANGLE = 60.0
DEBYE = 0.96
FINE, GROWTH, COARSE = 0.5, 0.4, 3.0
"""The smallest cell in Debye lengths, how much cells grow per distance from a wall, the largest cell."""
MEMBRANE = True


def build(gmsh):
    """Make the geometry with its physical groups and sizes."""
    gmsh.model.add("nanopore in three dimensions")
    occ = gmsh.model.occ
    far = max(TIP, BASE) + BATH
    tip, base = (TIP, 0.0), (BASE, LENGTH)
    top, bottom = [(0.0, LENGTH + BATH), (far, LENGTH + BATH)], [(far, -BATH), (0.0, -BATH)]
    electrolyte = turned(occ, [*top, (far, LENGTH), base, tip, (far, 0.0), *bottom])
    membrane = turned(occ, [(far, 0.0), tip, base, (far, LENGTH)]) if MEMBRANE else []
    if MEMBRANE:
        occ.fragment(electrolyte, membrane)
    occ.synchronize()
    gmsh.model.addPhysicalGroup(3, [tag for _, tag in electrolyte], name="electrolyte")
    if MEMBRANE:
        gmsh.model.addPhysicalGroup(3, [tag for _, tag in membrane], name="membrane")
    groups = {"bottom": [], "top": [], "side": [], "pore": [], "faces": []}
    for _, face in gmsh.model.getBoundary(electrolyte, oriented=False):
        if name := name_of(gmsh, face, far):
            groups[name].append(face)
    for name, faces in groups.items():
        gmsh.model.addPhysicalGroup(2, faces, name=name)
    set_sizes(gmsh, [((far, LENGTH), base), (base, tip), (tip, (far, 0.0))])
    gmsh.option.setNumber("Mesh.ElementOrder", 2)


def turned(occ, corners):
    """The volume that a polygon of r and y describes around the axis."""
    points = [occ.addPoint(*corner, 0.0) for corner in corners]
    lines = [occ.addLine(start, end) for start, end in pairwise([*points, points[0]])]
    surface = occ.addPlaneSurface([occ.addCurveLoop(lines)])
    made = occ.revolve([(2, surface)], 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, ANGLE * pi / 180.0)
    return [entity for entity in made if entity[0] == 3]


def name_of(gmsh, face, far):
    """Which boundary a face of the electrolyte is, by a point on it; none for the cuts."""
    low, high = gmsh.model.getParametrizationBounds(2, face)
    x, y, z = gmsh.model.getValue(2, face, [0.5 * (low[0] + high[0]), 0.5 * (low[1] + high[1])])
    normal = gmsh.model.getNormal(face, [0.5 * (low[0] + high[0]), 0.5 * (low[1] + high[1])])
    if abs(normal[1]) > 1.0 - 1e-6:
        return {-BATH: "bottom", LENGTH + BATH: "top"}.get(round(y, 6), "faces")
    if abs(x * normal[0] + z * normal[2]) < 1e-6 * far:
        return ""
    return "side" if hypot(x, z) > far - 1e-6 else "pore"


def set_sizes(gmsh, walls):
    """Let cells grow with the exact distance from the walls: a field of gmsh would sample them at a few points."""

    def size(dimension, tag, x, y, z, given):
        return min(FINE * DEBYE + GROWTH * min(distance(hypot(x, z), y, *wall) for wall in walls), COARSE)

    gmsh.model.mesh.setSizeCallback(size)
    for source in ("ExtendFromBoundary", "FromPoints", "FromCurvature"):
        gmsh.option.setNumber(f"Mesh.MeshSize{source}", 0)


def distance(x, y, start, end):
    """From a point to the straight line between two others."""
    along, up = end[0] - start[0], end[1] - start[1]
    share = ((x - start[0]) * along + (y - start[1]) * up) / (along**2 + up**2)
    share = min(max(share, 0.0), 1.0)
    return hypot(x - start[0] - share * along, y - start[1] - share * up)
