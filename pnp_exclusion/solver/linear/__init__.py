"""Linear solvers: presets, preconditioners of the fields, levels."""
