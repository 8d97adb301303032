"""The weak form, its measures and its constants."""
