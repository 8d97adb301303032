"""Parameters of a case from measured currents and potentials."""
