"""Coupled transport about a computed steady state: Onsager matrix, what membranes report, conversion of energy."""
