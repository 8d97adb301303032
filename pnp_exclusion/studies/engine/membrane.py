"""A membrane as a leg of an engine: charges circulate, the difference of salinity drives.

What is held: the contents of both reservoirs, large enough to keep them. What floats: the electric potential between
them (of each ion by itself there is a net flow: both legs let salt down). What a load is: the reservoir at the second
end is parted into a chamber for each leg, of the same contents; ideal reversible electrodes join the chambers through
the load, so that they differ in potential by the load's voltage ``U`` and the loop's current ``I`` passes it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from pnp_exclusion.solution.settings import settings_of
from pnp_exclusion.solution.solution import Solution
from pnp_exclusion.solver.tangents import TangentSolver
from pnp_exclusion.studies.coupled.channel import Channel, Steady, drive_of, parameter_of
from pnp_exclusion.studies.coupled.directions import SALINITY, VOLTAGE, Drive, in_directions
from pnp_exclusion.studies.coupled.equilibrium import equilibrium
from pnp_exclusion.studies.coupled.response import response
from pnp_exclusion.studies.engine.linear import LinearLeg
from pnp_exclusion.studies.engine.loop import LegPoint


class Membrane:
    """A membrane whose voltage is turned, with the reservoirs of its case; a context that frees PETSc's objects.

    area
        By which its currents are multiplied.
    """

    def __init__(self, solution: Solution, area: float, petsc_options: Sequence[str] = ()) -> None:
        self.area = area
        self.drive: Drive = drive_of(solution)
        problem = solution.discretisation.problem
        voltage, salinity = (self.drive.directions[name] for name in (VOLTAGE, SALINITY))
        rest = equilibrium(solution, self.drive)
        with TangentSolver(rest.discretisation, settings_of(rest.setup.case), petsc_options) as tangents:
            onsager = response(tangents).to_contents
        self.linear = LinearLeg(area * in_directions(onsager, (voltage, salinity)))
        parameter, _ = parameter_of(solution, self.drive.species[0])
        guess = -self.linear.ratio * self.drive.salinity
        # nothing in the loop drives a leg beyond what the salinity can
        reach = abs(self.drive.salinity) / np.abs(self.drive.charges[self.drive.charges != 0.0]).min()
        self.channel = Channel(parameter, (-reach, reach), problem.domain.comm, problem.law, petsc_options)
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.channel)
            self.zero_current_force = self.channel.root(self.electric_current, guess, "the electric current of a leg")
            stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self.channel.__exit__(*error)

    def electric_current(self, steady: Steady) -> float:
        """``sum z_a J_a`` of a state, times the area."""
        return self.area * float(self.drive.charges @ steady.currents)

    def current_at(self, force: float) -> float:
        """Electric current at a voltage, times the area."""
        return self.electric_current(self.channel.at(force))

    def point(self, force: float) -> LegPoint:
        """Everything at a voltage; what the reservoirs lose is free energy of mixing."""
        steady = self.channel.at(force)
        currents = self.area * steady.currents
        lost = float(self.drive.chemical @ currents)
        return LegPoint(force, currents, lost, self.area * steady.entropy_production)
