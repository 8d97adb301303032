"""Motion in time: schemes, the equations of their stages, and the control of the step."""
