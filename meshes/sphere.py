"""A charged sphere in the middle of a cube, in nanometres.

A layer of flat cells on either side of the sphere's surface resolves the diffuse layers there.
Regions "electrolyte" and "sphere"; boundaries "left", "right", "bottom", "top", "back", "front".

    pnp-exclusion mesh meshes/sphere.py
"""

from itertools import product

SIDE = 8.0
RADIUS = 1.6
LAYER = 0.12
FINE, COARSE = 0.6, 1.5
NAMES = ("left", "right", "bottom", "top", "back", "front")


def build(gmsh):
    """Make the geometry with its physical groups and sizes."""
    gmsh.model.add("sphere")
    geo = gmsh.model.geo
    surface = _sphere(geo)
    outer, outside = _grow(geo, surface, LAYER)
    inner, inside = _grow(geo, surface, -LAYER)
    faces = _cube(geo)
    inside.append(geo.addVolume([geo.addSurfaceLoop(inner)]))
    outside.append(geo.addVolume([geo.addSurfaceLoop(faces), geo.addSurfaceLoop(outer)]))
    geo.synchronize()
    gmsh.model.addPhysicalGroup(3, outside, name="electrolyte")
    gmsh.model.addPhysicalGroup(3, inside, name="sphere")
    for name, face in zip(NAMES, faces, strict=True):
        gmsh.model.addPhysicalGroup(2, [face], name=name)
    _refine_toward_sphere(gmsh)


def _sphere(geo):
    """Eight triangles between the six points where the axes leave the sphere, turned outward."""
    centre = geo.addPoint(SIDE / 2, SIDE / 2, SIDE / 2)
    poles = {}
    for axis, sign in product(range(3), (-1, 1)):
        position = [SIDE / 2] * 3
        position[axis] += sign * RADIUS
        poles[axis, sign] = geo.addPoint(*position)
    arcs = {
        (axis, first, second): geo.addCircleArc(poles[axis, first], centre, poles[(axis + 1) % 3, second])
        for axis, first, second in product(range(3), (-1, 1), (-1, 1))
    }
    surface = []
    for x, y, z in product((-1, 1), repeat=3):
        loop = [arcs[0, x, y], arcs[1, y, z], arcs[2, z, x]]
        if x * y * z < 0:
            loop = [-arc for arc in reversed(loop)]
        surface.append(geo.addSurfaceFilling([geo.addCurveLoop(loop)], sphereCenterTag=centre))
    return surface


def _grow(geo, surface, height):
    """Add one layer of cells, inward if the height is negative; return the surfaces where it ends, and its volumes."""
    grown = geo.extrudeBoundaryLayer([(2, tag) for tag in surface], [1], [height], second=height < 0.0)
    layers = [n for n, (dimension, _) in enumerate(grown) if dimension == 3]
    return [grown[n - 1][1] for n in layers], [grown[n][1] for n in layers]


def _cube(geo):
    """The six faces in the order of their names: lower and upper in x, y, z."""
    corners = {corner: geo.addPoint(*(SIDE * c for c in corner)) for corner in product((0, 1), repeat=3)}
    edges = {}
    for start, axis in product(corners, range(3)):
        end = (*start[:axis], 1, *start[axis + 1 :])
        if start != end:
            edges[start, end] = geo.addLine(corners[start], corners[end])
            edges[end, start] = -edges[start, end]
    faces = []
    for axis, side in product(range(3), (0, 1)):
        a, b, c, d = ((*ends[:axis], side, *ends[axis:]) for ends in ((0, 0), (1, 0), (1, 1), (0, 1)))
        faces.append(geo.addPlaneSurface([geo.addCurveLoop([edges[a, b], edges[b, c], edges[c, d], edges[d, a]])]))
    return faces


def _refine_toward_sphere(gmsh):
    field = gmsh.model.mesh.field
    radius = field.add("MathEval")
    squares = " + ".join(f"({x} - {SIDE / 2})^2" for x in "xyz")
    field.setString(radius, "F", f"Sqrt({squares})")
    threshold = field.add("Threshold")
    field.setNumber(threshold, "InField", radius)
    field.setNumber(threshold, "SizeMin", FINE)
    field.setNumber(threshold, "SizeMax", COARSE)
    field.setNumber(threshold, "DistMin", RADIUS + LAYER)
    field.setNumber(threshold, "DistMax", 3.8)
    field.setAsBackgroundMesh(threshold)
    gmsh.option.setNumber("Mesh.MeshSizeExtendFromBoundary", 0)
    gmsh.option.setNumber("Mesh.MeshSizeFromPoints", 0)
