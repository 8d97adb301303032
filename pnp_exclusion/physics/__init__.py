"""Laws, boundary conditions, and a problem in dimensionless form."""
