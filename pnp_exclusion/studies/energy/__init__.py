"""A lattice whose particles carry energy, from its case file: measured at several sizes beside what theory says."""
