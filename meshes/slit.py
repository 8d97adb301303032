"""A slit pore through a charged membrane, in nanometres: the upper half of it, cut along the plane of symmetry.

Regions "electrolyte" and "membrane"; boundaries "left", "right" (reservoirs), "top" and "axis" (symmetry).

    pnp-exclusion mesh meshes/slit.py
"""

LENGTH, HEIGHT = 12.0, 5.0
MEMBRANE = (4.0, 8.0)
HALF_WIDTH = 1.0
FINE, COARSE = 0.062, 0.9


def build(gmsh):
    """Make the geometry with its physical groups and sizes."""
    gmsh.model.add("slit")
    occ = gmsh.model.occ
    whole = occ.addRectangle(0.0, 0.0, 0.0, LENGTH, HEIGHT)
    membrane = occ.addRectangle(MEMBRANE[0], HALF_WIDTH, 0.0, MEMBRANE[1] - MEMBRANE[0], HEIGHT - HALF_WIDTH)
    _, pieces = occ.fragment([(2, whole)], [(2, membrane)])
    occ.synchronize()
    inside = [tag for _, tag in pieces[1]]
    outside = [tag for _, tag in pieces[0] if tag not in inside]
    gmsh.model.addPhysicalGroup(2, outside, name="electrolyte")
    gmsh.model.addPhysicalGroup(2, inside, name="membrane")
    for name, axis, position in (("left", 0, 0.0), ("right", 0, LENGTH), ("axis", 1, 0.0), ("top", 1, HEIGHT)):
        gmsh.model.addPhysicalGroup(1, _curves_on(gmsh, axis, position), name=name)
    _refine_toward_membrane(gmsh, inside)


def _curves_on(gmsh, axis, position):
    low, high = [-1.0, -1.0, -1.0], [LENGTH + 1.0, HEIGHT + 1.0, 1.0]
    low[axis], high[axis] = position - 1e-3, position + 1e-3
    return [tag for _, tag in gmsh.model.getEntitiesInBoundingBox(*low, *high, 1)]


def _refine_toward_membrane(gmsh, inside):
    surface = [tag for _, tag in gmsh.model.getBoundary([(2, tag) for tag in inside], oriented=False)]
    field = gmsh.model.mesh.field
    distance = field.add("Distance")
    field.setNumbers(distance, "CurvesList", surface)
    field.setNumber(distance, "Sampling", 200)
    threshold = field.add("Threshold")
    field.setNumber(threshold, "InField", distance)
    field.setNumber(threshold, "SizeMin", FINE)
    field.setNumber(threshold, "SizeMax", COARSE)
    field.setNumber(threshold, "DistMin", 0.06)
    field.setNumber(threshold, "DistMax", 2.0)
    field.setAsBackgroundMesh(threshold)
    gmsh.option.setNumber("Mesh.MeshSizeExtendFromBoundary", 0)
