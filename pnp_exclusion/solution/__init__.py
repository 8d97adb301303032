"""Solving one case, and what is read off its solution."""
