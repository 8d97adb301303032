"""What is made of many solutions: sweeps, diagrams, coupled transport, engines."""
