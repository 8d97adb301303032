"""What is read off a solution: currents, charges, forces, regimes, identities. Dimensionless."""
