"""A process that has everything imported and forks one for every command that is handed to it.

`client` is what a command does first, `server` what waits; `circumstances` decides whether the one can stand in for the
other, `address` where they meet. A command that is not taken runs as it would without all this.
"""
