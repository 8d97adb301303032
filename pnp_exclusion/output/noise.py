"""What is written of noise."""

from __future__ import annotations

from typing import Any

import numpy as np

from pnp_exclusion.output.text import columns, csv_of, header, word
from pnp_exclusion.solution.noise import Noise


def noise_csv(noise: Noise) -> str:
    """Return ``noise.csv``: a row a frequency, units in the header.

    For every terminal the spectrum of the total electric current, its admittance and what the noise is over thermal
    noise; with imposed fields none of these. Then the spectra of the species' currents through it.
    """
    head, values = [header("frequency", noise.frequency_unit)], [noise.frequencies]
    for t, where in enumerate(noise.terminals):
        if noise.electric is not None and noise.admittance is not None and noise.thermal is not None:
            head += [
                header(f"noise_{where}", noise.unit),
                header(f"admittance_real_{where}", noise.admittance_unit),
                header(f"admittance_imaginary_{where}", noise.admittance_unit),
                f"over_thermal_noise_{where}",
            ]
            values += [noise.electric[:, t, t].real, noise.admittance[:, t, t].real, noise.admittance[:, t, t].imag]
            values.append(noise.thermal[:, t])
        for a, name in enumerate(noise.quantities):
            head.append(header(f"noise_{where}_{name}", noise.particle_unit))
            values.append(noise.particle[:, t, a, t, a].real)
    return csv_of(head, values)


def noise_json(noise: Noise) -> dict[str, Any]:
    """Return ``noise.json``: what is known at frequency zero, and how far it reaches."""
    return noise_at_zero_json(noise) | {
        "resolved_up_to": noise.band,
        "accuracy": noise.accuracy,
        "eps": noise.eps,
        "warnings": noise.warnings,
    }


def noise_at_zero_json(noise: Noise) -> dict[str, Any]:
    """Return what is known at frequency zero."""
    names = noise.quantities
    return {
        "terminals": list(noise.terminals),
        "species": list(names),
        "sides": 1 if noise.unit else 2,
        "units": {
            "particle_noise": noise.particle_unit,
            "electric_noise": noise.unit,
            "admittance": noise.admittance_unit,
            "frequency": noise.frequency_unit,
        },
        "particle_noise_at_zero": noise.at_zero.tolist(),
        "electric_noise_at_zero": noise.electric_at_zero.tolist(),
        "fano": {
            where: {name: float(noise.fano[t, a]) for a, name in enumerate(names)}
            for t, where in enumerate(noise.terminals)
        },
        "electric_fano": {where: float(noise.electric_fano[t]) for t, where in enumerate(noise.terminals)},
        "correlation": {
            where: {
                f"{one}, {other}": float(noise.correlation(where, one, other))
                for a, one in enumerate(names)
                for other in names[a + 1 :]
            }
            for where in noise.terminals
        },
        "uncertainty": float(noise.uncertainty),
    }


def noise_table(noise: Noise) -> list[str]:
    """Return lines for the terminal: noise at frequency zero by terminals, Fano factors and correlations."""
    head = ["at frequency zero", *noise.terminals]
    rows = []
    if np.any(noise.electric_at_zero):
        sided = "one-sided" if noise.unit else "two-sided, over eps"
        own = np.diag(noise.electric_at_zero)
        rows.append([header(f"noise of the electric current, {sided}", noise.unit), *(f"{s:.6g}" for s in own)])
        rows.append(["its Fano factor", *(word(factor) for factor in noise.electric_fano)])
    for a, name in enumerate(noise.quantities):
        rows.append([f"Fano factor of {name}", *(word(factor) for factor in noise.fano[:, a])])
    for a, one in enumerate(noise.quantities):
        for other in noise.quantities[a + 1 :]:
            found = [noise.correlation(where, one, other) for where in noise.terminals]
            rows.append([f"correlation of {one} and {other}", *(word(value) for value in found)])
    return columns([head, *rows])
