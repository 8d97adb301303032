"""Processes, ranks, signals, memory, compiled forms: what all else runs on."""
