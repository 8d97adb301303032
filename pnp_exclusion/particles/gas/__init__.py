"""The hard-point gas: its model, its events, its stationary state and its coefficients."""
