"""Drivers on PETSc: first guess, Newton, continuation, linear solvers."""
