"""Domains: graded intervals, rectangles and boxes, gmsh files, names of regions and boundaries."""
