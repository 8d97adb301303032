"""The lattice process beside the continuum that is its limit."""

LARGEST_SIZE = 10_000
"""Sites of the longest lattice that is run. One decorrelated sample of it takes ten minutes; of ten times as many sites
it would take a week."""
