"""References: numbers that are known without this package, each beside the one that it computes.

A reference is solved as a user would solve it, on the mesh that a case gets by itself; what it is compared with is a
closed form, or an exact solution that shares no line with the solver (`pnp_exclusion.exact`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mpi4py import MPI

from pnp_exclusion.case.case import make_case
from pnp_exclusion.exact import CrowdedLayer, PointIonLayer, stationary_state
from pnp_exclusion.solution.solution import Solution
from pnp_exclusion.solution.solve import solve
from pnp_exclusion.solution.transient import run

LAMBDA = 0.02
"""Debye length of a full lattice of unit charges, over the length of the domain."""
BULK = 0.05
"""Fraction of either ion in the bulk."""
FIXED = 0.1
"""Negative charges a site of a membrane."""


@dataclass(frozen=True)
class Reference:
    """A number that is known.

    name: what it is; source: who says so; law: under which law; known, computed: functions without arguments;
    tolerance: how far they may be apart, relative to the one that is known (of 1 where that is zero).
    """

    name: str
    source: str
    law: str
    known: Callable[[], float]
    computed: Callable[[], float]
    tolerance: float


@dataclass(frozen=True)
class Outcome:
    """A reference with its two numbers, and how far they are apart."""

    reference: Reference
    known: float
    computed: float

    @property
    def error(self) -> float:
        """Relative to what is known, absolute where that is zero."""
        return abs(self.computed - self.known) / (abs(self.known) or 1.0)

    @property
    def holds(self) -> bool:
        """Whether the two agree to the tolerance."""
        return self.error <= self.reference.tolerance


def outcome_of(reference: Reference) -> Outcome:
    """Compute one; collective."""
    return Outcome(reference, float(reference.known()), float(reference.computed()))


def _solved(law: str, species: list[dict], boundaries: list[dict], **others: Any) -> Solution:
    return solve(make_case(_tables(law, species, boundaries, **others)))


def _found_potential(*case: Any, **others: Any) -> float:
    """That of the boundary at the left, through which no current flows."""
    return _solved(*case, **others).summary()["found_potential"]["left"]["value"]


def _tables(law: str, species: list[dict], boundaries: list[dict], **others: Any) -> dict:
    """A dimensionless case; with Poisson where its species are charged, on an interval unless it has a domain."""
    charged = any("charge" in one for one in species)
    model = {"electrostatics": "poisson", "debye_length": LAMBDA} if charged else {"electrostatics": "imposed"}
    return {
        "model": {"units": "dimensionless", "law": law} | model | others.pop("model", {}),
        "species": species,
        "domain": others.pop("domain", {"shape": "interval", "length": 1.0}),
        "boundaries": boundaries,
        **others,
    }


def _between(left: dict, right: dict) -> list[dict]:
    return [{"where": "left", "kind": "reservoir"} | left, {"where": "right", "kind": "reservoir"} | right]


def _salt(plus: float = 1.0, minus: float = 1.0) -> list[dict]:
    return [
        {"name": "A", "charge": 1, "diffusivity": plus},
        {"name": "B", "charge": -1, "diffusivity": minus},
    ]


def _contents(*fractions: float) -> dict:
    return {"fraction": dict(zip("AB", fractions, strict=False))}


def _charge_of_an_electrode(law: str, voltage: float) -> float:
    bulk = _contents(BULK, BULK) | {"potential": 0.0}
    electrode = {"where": "left", "kind": "electrode", "potential": voltage}
    solution = _solved(law, _salt(), [electrode, {"where": "right", "kind": "reservoir"} | bulk])
    return solution.summary()["charge"]["left"]["value"]


def _of_a(solution: Solution) -> float:
    """The current of the first species; there are two ends."""
    return (solution.currents or {})["A"]


def _current(law: str, left: list[float], right: list[float], fields: list[float], **domain: Any) -> float:
    """The current of the first species between two reservoirs, in imposed fields along x."""
    species = [{"name": name, "field": field} for name, field in zip("AB", fields, strict=False)]
    found = _solved(law, species, _between(_contents(*left), _contents(*right)), **domain)
    return _of_a(found)


STIRRED = ([0.2, 0.5], [0.6, 0.1])
"""Contents of the reservoirs beside which stirring is known exactly."""


def _stirred(strength: float) -> float:
    return float(stationary_state(*STIRRED, [strength, -strength]).currents[0])


def _in_a_box() -> float:
    """Three dimensions whose sides are walls: what one dimension carries, through a face of one."""
    return _current("shdl", *STIRRED, [10.0, -10.0], domain={"shape": "box", "size": [1, 1, 1], "cells": [16, 2, 2]})


def _around_an_axis() -> float:
    """A round rod between reservoirs at its two ends, as a drawing that is turned around the axis."""
    ends = [
        {"where": where, "kind": "reservoir", "fraction": {"A": fraction}}
        for where, fraction in (("bottom", 0.9), ("top", 0.1))
    ]
    rod = {"shape": "rectangle", "size": [0.5, 1.0], "coordinates": "axisymmetric", "cells": [4, 16]}
    return _of_a(_solved("mpnp", [{"name": "A"}], ends, domain=rod))


def _donnan() -> float:
    """The potential in the middle of a membrane between equal baths, its layers being thin."""
    membrane = [{"name": "membrane", "x": [0.25, 0.75], "fixed_charge": -FIXED}]
    bath = _contents(BULK, BULK) | {"potential": 0.0}
    model = {"debye_length": 0.004}
    profile = _solved("pnp", _salt(), _between(bath, bath), regions=membrane, model=model).profile()
    # tables are on the first rank
    return MPI.COMM_WORLD.bcast(float(profile["potential"].interp(x=0.5)) if profile is not None else None)


def _junction() -> float:
    """The potential at the left at which no current flows between salts of 0.3 and 0.1, layers being thin."""
    left = _contents(0.3, 0.3) | {"total_current": 0.0}
    right = _contents(0.1, 0.1) | {"potential": 0.0}
    model = {"debye_length": 1e-3}
    return _found_potential("pnp", _salt(1.0, 0.5), _between(left, right), model=model)


def _identity() -> float:
    """What is left of the identity in a membrane under stirring, far from equilibrium."""
    membrane = [{"name": "membrane", "x": [0.25, 0.75], "fixed_charge": 0.3}]
    left, right = _contents(0.4, 0.4) | {"potential": -1.5}, _contents(0.1, 0.1) | {"potential": 0.0}
    model = {"debye_length": 0.1}
    solution = _solved("shdl", _salt(), _between(left, right), regions=membrane, model=model)
    return solution.identity_residual or 0.0


def _noise() -> float:
    """The noise of the first of two stirred species at frequency zero."""
    solution = _solved("shdl", [{"name": "A"}, {"name": "B"}], _between(_contents(0.5, 0.2), _contents(0.1, 0.35)))
    return float(solution.noise([1.0]).at_zero[0, 0, 0, 0])


def _nernst() -> float:
    """The potential of an electrode through which no current flows, of a couple of 0.2 and 0.05."""
    reaction = {
        "equation": "A + e- <-> B",
        "where": "left",
        "butler_volmer": {"k0": 1.0, "formal_potential": 2.0},
    }
    species = [{"name": "A", "charge": 1}, {"name": "B"}, {"name": "C", "charge": -1, "mean_fraction": 0.2}]
    electrode = {"where": "left", "kind": "electrode", "total_current": 0.0}
    bath = {"where": "right", "kind": "reservoir", "fraction": {"A": 0.2, "B": 0.05}, "potential": 0.0}
    return _found_potential("pnp", species, [electrode, bath], reactions=[reaction])


INSTANT = 1e-3
"""When the current after a step is looked at: the front is 0.06 of the domain wide."""


def _cottrell() -> float:
    """The flux out at the left, at an instant after the content there was halved."""
    ends = _between({"fraction": {"A": {"step": [0.2, 0.1]}}}, {"fraction": {"A": 0.2}})
    time = {"time": {"end": INSTANT, "tolerance": 1e-5}, "initial": {"fraction": {"A": 0.2}}}
    motion = run(make_case(_tables("pnp", [{"name": "A"}], ends, **time)))
    return float(motion.series["flux_left_A"].values[-1])


def _goldman(left: float, right: float, field: float) -> float:
    return field * (left - right * math.exp(-field)) / -math.expm1(-field)


REFERENCES = (
    Reference(
        "charge of a blocking electrode at 8 kT/e",
        "Gouy 1910, Chapman 1913",
        "pnp",
        lambda: float(PointIonLayer(BULK, LAMBDA).surface_charge(8.0)),
        lambda: _charge_of_an_electrode("pnp", 8.0),
        1e-6,
    ),
    Reference(
        "charge of a blocking electrode at 40 kT/e",
        "Bikerman 1942; Kilic, Bazant, Ajdari 2007",
        "mpnp",
        lambda: float(CrowdedLayer(BULK, LAMBDA).surface_charge(40.0)),
        lambda: _charge_of_an_electrode("mpnp", 40.0),
        1e-6,
    ),
    Reference(
        "potential of a membrane", "Donnan 1911", "pnp", lambda: -math.asinh(FIXED / (2.0 * BULK)), _donnan, 1e-6
    ),
    Reference(
        "flux in a constant field",
        "Goldman 1943",
        "pnp",
        lambda: _goldman(0.3, 0.1, 3.0),
        lambda: _current("pnp", [0.3], [0.1], [3.0]),
        1e-6,
    ),
    Reference(
        "potential of a liquid junction",
        "Planck 1890, Henderson 1907",
        "pnp",
        lambda: -(1.0 - 0.5) / (1.0 + 0.5) * math.log(3.0),
        _junction,
        1e-4,
    ),
    Reference("potential of a couple", "Nernst 1889", "pnp", lambda: 2.0 + math.log(0.2 / 0.05), _nernst, 1e-6),
    Reference(
        "flux after a step of concentration",
        "Cottrell 1903",
        "pnp",
        lambda: 0.1 / math.sqrt(math.pi * INSTANT),
        _cottrell,
        1e-3,
    ),
    Reference(
        "flux of one species through a rod, around its axis",
        "by integration: J = A log(v_R/v_L)",
        "mpnp",
        lambda: math.pi * 0.25 * math.log(0.9 / 0.1),
        _around_an_axis,
        1e-5,
    ),
    Reference(
        "current of two stirred species in fields of 100",
        "exact solution (Riccati)",
        "shdl",
        lambda: _stirred(100.0),
        lambda: _current("shdl", *STIRRED, [100.0, -100.0]),
        1e-6,
    ),
    Reference(
        "the same in fields of 10, in a box",
        "exact solution (Riccati)",
        "shdl",
        lambda: _stirred(10.0),
        _in_a_box,
        1e-4,
    ),
    Reference("currents against forces in a membrane", "master identity", "shdl", lambda: 0.0, _identity, 1e-6),
    Reference(
        "noise of the current of two stirred species",
        "fluctuating hydrodynamics",
        "shdl",
        lambda: 0.5 + 0.1 - 2.0 * 0.5 * 0.1 - 2.0 / 3.0 * 0.4**2,
        _noise,
        1e-6,
    ),
)
