"""Case files: tables, quantities, checks, and the problem that a case describes."""
