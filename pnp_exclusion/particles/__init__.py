"""The particles behind the equations."""
