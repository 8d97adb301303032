"""What a curve over the potential of one boundary is: its points, and what they say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.case.case import Case
from pnp_exclusion.errors import UsageError

if TYPE_CHECKING:
    import xarray

type Array = NDArray[np.float64]
type Direction = Literal["forward", "backward"]

LIMITED = 0.1
"""Of the largest conductance of a curve: where it is less the current is a limiting one."""


@dataclass(frozen=True)
class Point:
    """One state of a curve, in SI units for an SI case.

    potential
        Of the boundary that is driven.
    currents
        Electric current into the domain through that boundary, by species: each ion's share. It grows with the
        potential there.
    charge
        Of that boundary.
    conductances, capacitance
        Exact slopes of the two by the potential; ``conductances`` by species.
    newton_iterations
        That its solve took.
    direction
        In which it was come upon: from the first end, or back from the other one, where the first branch ends before.
    """

    potential: float
    currents: dict[str, float]
    charge: float
    conductances: dict[str, float]
    capacitance: float
    newton_iterations: int
    direction: Direction = "forward"

    @property
    def current(self) -> float:
        """Of all species together."""
        return sum(self.currents.values())

    @property
    def conductance(self) -> float:
        """Slope of `current`."""
        return sum(self.conductances.values())


@dataclass(frozen=True)
class Curve:
    """Points in the order of their potentials, and what they say together.

    Where the curve from its first end does not reach the other one, as beyond a fold, points found from there back
    follow those, in the same order; what is read between points is read of the first branch.

    boundary
        That is driven.
    units
        Of potentials, currents, charges, conductances and capacitances; empty in a dimensionless case.
    ended, ended_backward
        Why the curve does not reach its end, empty if it does; and why, followed from there, it does not get back.
    """

    case: Case
    boundary: str
    points: Sequence[Point]
    units: dict[str, str]
    ended: str = ""
    warnings: Sequence[str] = ()
    ended_backward: str = ""

    def branch(self, direction: Direction) -> list[Point]:
        """Return the points found in one direction, in the order of their potentials."""
        return [point for point in self.points if point.direction == direction]

    @property
    def potentials(self) -> Array:
        """``(points,)``."""
        return np.array([point.potential for point in self.points])

    @property
    def rectification(self) -> float | None:
        """``|I(V)/I(-V)|`` at the largest ``V`` that the curve has on both sides of zero; None without such."""
        forward = self.branch("forward")
        reach = min(forward[-1].potential, -forward[0].potential)
        if reach <= 0.0 or not self._flows:
            return None
        forth, back = (self.at(sign * reach) for sign in (1.0, -1.0))
        return abs(forth / back) if back else None

    @property
    def limiting_current(self) -> float | None:
        """The current at the end whose conductance is below a tenth of the largest of the curve; None if none is."""
        if not self._flows:
            return None
        ends = [choose(self.points, key=lambda point: point.potential) for choose in (min, max)]
        largest = max(abs(point.conductance) for point in self.points)
        flat = [point.current for point in ends if abs(point.conductance) < LIMITED * largest]
        return max(flat, key=abs, default=None)

    @property
    def zero_current_potential(self) -> float | None:
        """The potential at which the current changes its sign; None if it does not, or is none anywhere."""
        if not self._flows or len(self.branch("forward")) < 2:
            return None
        roots = self._spline().roots(extrapolate=False)
        # a stretch without any current has no number
        found = roots[np.isfinite(roots)]
        return float(found[0]) if len(found) else None

    def at(self, potential: float) -> float:
        """The current at a potential within the curve: by the cubic between its neighbours, values and slopes.

        Raises `UsageError` beyond its ends.
        """
        forward = self.branch("forward")
        low, high = forward[0].potential, forward[-1].potential
        if not low <= potential <= high:
            raise UsageError(f"the curve goes from {low:.6g} to {high:.6g}, not to {potential:.6g}")
        return float(self._spline()(potential))

    @property
    def _flows(self) -> bool:
        return any(point.current for point in self.points)

    def _spline(self) -> Any:
        from scipy.interpolate import CubicHermiteSpline

        names = ("potential", "current", "conductance")
        return CubicHermiteSpline(*([getattr(one, name) for one in self.branch("forward")] for name in names))

    @property
    def peak(self) -> Point:
        """The point of the largest differential capacitance."""
        return max(self.points, key=lambda point: abs(point.capacitance))

    def to_xarray(self) -> xarray.Dataset:
        """Return the curve as a table over ``potential``, with units."""
        import xarray as xr

        along = ("current", "conductance", "charge", "capacitance")
        data: dict[str, Any] = {
            name: ("potential", [getattr(point, name) for point in self.points], {"units": self.units[name]})
            for name in along
        }
        shares = [list(point.currents.values()) for point in self.points]
        data["current_of"] = (("potential", "species"), shares, {"units": self.units["current"]})
        coordinates = {
            "potential": ("potential", self.potentials, {"units": self.units["potential"]}),
            "species": list(self.case.species_names),
            "direction": ("potential", [point.direction for point in self.points]),
        }
        return xr.Dataset(data, coordinates, {"title": self.case.title, "boundary": self.boundary})


def require_potential(case: Case, boundary: str) -> None:
    """Raise `UsageError` for a boundary of a case that has no potential to change."""
    having = [one.where for one in case.boundaries if one.dirichlet_potential is not None]
    if boundary not in having:
        listed = ", ".join(f'"{where}"' for where in having) or "none"
        raise UsageError(f'{case.path}: boundary "{boundary}" has no potential to change; those with one: {listed}')
