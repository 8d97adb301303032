"""The lattice process beside the continuum that is its limit."""
