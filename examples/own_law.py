"""A law of one's own in a dozen lines: unlike ions change places only half as readily as ions and vacancies.

python examples/own_law.py
"""

from pathlib import Path

import pnp_exclusion as pnp


def exchange(a, b, rho, diffusivity):
    """Return the rate at which ``a`` changes places with ``b`` (0: a vacancy), see `pnp_exclusion.physics.laws`."""
    hindrance = 1.0 if b == 0 else 0.5
    return hindrance * diffusivity[a] * rho[a] * rho[b]


law = pnp.Law("half stirring", exchange, equal_diffusivities=True)
case = pnp.read_case(Path(__file__).with_name("membrane.toml"))
solution = pnp.solve(case, law=law)
summary = solution.summary()
for name, flux in summary["flux"]["right"].items():
    print(f"{name}: {flux['value']:.4g} {flux['unit']}, {summary['regime'][name]}")
