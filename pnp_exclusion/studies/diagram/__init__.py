"""Phase diagrams over two drivings: borders found adaptively, regions labelled, areas from the borders.

`trace` and `arrangement` are generic (numpy, scipy, shapely); `compute.diagrams_of` makes the diagrams of a case.
"""
