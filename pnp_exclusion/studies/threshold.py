"""The threshold of a species: the voltage, or the force on it, at which its current through a membrane vanishes.

By bisection on the computed current, without the closed forms of the master identity, which then check it
(docs/theory.md#master-identity): a law of diagonal mobility stops species ``a`` at ``F_a = 0``, `shdl` at
``F_a = Fbar``, the common drag at the threshold's own profile; in between the species runs against its own force.
"""

from __future__ import annotations

from dataclasses import dataclass

from mpi4py import MPI

from pnp_exclusion.errors import CaseError
from pnp_exclusion.solution.solve import CaseLike, as_solution
from pnp_exclusion.studies.coupled.channel import Channel, Steady, drive_of, parameter_of, steady_of
from pnp_exclusion.studies.coupled.ends import why_not
from pnp_exclusion.studies.coupled.finite_drive import conductances


@dataclass(frozen=True)
class Threshold:
    """Where the flux of a species vanishes, all else being as in the case.

    species
        Its name.
    value
        Drop of the electric potential between the ends in kT/e; with imposed fields the force on the species in kT.
    potential
        ``value`` as a voltage (V); None in a dimensionless case or with imposed fields.
    state
        Currents, forces and resistances there, of the species that pass.
    position
        Of the species in the arrays of ``state``.
    """

    species: str
    value: float
    potential: float | None
    state: Steady
    position: int

    @property
    def identity_force(self) -> float | None:
        """The force on the species at which its current vanishes by the master identity, kT.

        From the resistances of the profile and the other species' forces; None above one dimension.
        """
        if self.state.resistance is None:
            return None
        row = conductances(self.state.resistance)[self.position]
        drag = row @ self.state.forces - row[self.position] * self.state.forces[self.position]
        return float(-drag / row[self.position])


def threshold(case: CaseLike, species: str, comm: MPI.Comm = MPI.COMM_WORLD) -> Threshold:
    """Find the threshold of a species of a case between two reservoirs; collective.

    With Poisson the potential of the first end is turned; with imposed fields a uniform field on the species is added
    to its own. ``case`` is what `pnp_exclusion.solve` takes. Raises `CaseError` for a case or species without a
    threshold, `ConvergenceError` if the current keeps its sign up to `pnp_exclusion.studies.coupled.channel.FARTHEST`.
    """
    here = as_solution(case, comm)
    path, reason = here.setup.case.path, why_not(here.discretisation)
    if not reason and here.discretisation.problem.law.thermal:
        reason = "a threshold is that of a field or voltage at one temperature; [diagram] finds where currents vanish"
    if reason:
        raise CaseError(path, [reason])
    drive, state = drive_of(here), steady_of(here)
    if species not in drive.species:
        raise CaseError(path, [f'no species "{species}" passes; there is {", ".join(drive.species)}'])
    a = drive.species.index(species)
    parameter, now = parameter_of(here, species)
    charge = float(drive.charges[a])
    if drive.voltage is not None and charge == 0.0:
        raise CaseError(path, [f'species "{species}" carries no charge, so that no voltage acts on it'])
    # where its force vanishes: exact for laws of diagonal mobility, a start for the others
    guess = now - float(state.forces[a]) / (charge if drive.voltage is not None else 1.0)
    with Channel(parameter, sorted({now, guess}), comm) as channel:
        value = channel.root(lambda steady: float(steady.currents[a]), guess, f"the flux of {species}")
        found = channel.at(value)
    si = here.setup.scales.si and drive.voltage is not None
    return Threshold(species, value, value * here.setup.scales.potential if si else None, found, a)
