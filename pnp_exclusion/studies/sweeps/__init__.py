"""Sweeps: many cases along some axes, solved by whoever is there, resumed where they were left, read as one dataset."""
