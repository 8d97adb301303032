"""Residuals and matrices from the forms, cell by cell or in batches."""
