"""A charged sphere in the middle of a cube, in nanometres.

Regions "electrolyte" and "sphere"; boundaries "left", "right", "bottom", "top", "back", "front".

    pnp-exclusion mesh meshes/sphere.py
"""

SIDE = 8.0
RADIUS = 1.6
FINE, COARSE = 0.5, 1.4


def build(gmsh):
    """Make the geometry with its physical groups and sizes."""
    gmsh.model.add("sphere")
    occ = gmsh.model.occ
    cube = occ.addBox(0.0, 0.0, 0.0, SIDE, SIDE, SIDE)
    sphere = occ.addSphere(SIDE / 2, SIDE / 2, SIDE / 2, RADIUS)
    _, pieces = occ.fragment([(3, cube)], [(3, sphere)])
    occ.synchronize()
    inside = [tag for _, tag in pieces[1]]
    outside = [tag for _, tag in pieces[0] if tag not in inside]
    gmsh.model.addPhysicalGroup(3, outside, name="electrolyte")
    gmsh.model.addPhysicalGroup(3, inside, name="sphere")
    names = ("left", "right", "bottom", "top", "back", "front")
    for side, name in enumerate(names):
        low, high = [-1.0] * 3, [SIDE + 1.0] * 3
        position = SIDE * (side % 2)
        low[side // 2], high[side // 2] = position - 1e-3, position + 1e-3
        faces = [tag for _, tag in gmsh.model.getEntitiesInBoundingBox(*low, *high, 2)]
        gmsh.model.addPhysicalGroup(2, faces, name=name)
    _refine_toward_sphere(gmsh, inside)


def _refine_toward_sphere(gmsh, inside):
    surface = [tag for _, tag in gmsh.model.getBoundary([(3, tag) for tag in inside], oriented=False)]
    field = gmsh.model.mesh.field
    distance = field.add("Distance")
    field.setNumbers(distance, "SurfacesList", surface)
    field.setNumber(distance, "Sampling", 40)
    threshold = field.add("Threshold")
    field.setNumber(threshold, "InField", distance)
    field.setNumber(threshold, "SizeMin", FINE)
    field.setNumber(threshold, "SizeMax", COARSE)
    field.setNumber(threshold, "DistMin", 0.3)
    field.setNumber(threshold, "DistMax", 2.5)
    field.setAsBackgroundMesh(threshold)
    gmsh.option.setNumber("Mesh.MeshSizeExtendFromBoundary", 0)
