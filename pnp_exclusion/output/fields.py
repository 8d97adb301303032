"""The fields of a solution as ParaView reads them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import basix
import basix.ufl
import numpy as np
from dolfinx import fem
from dolfinx.io import VTXWriter

from pnp_exclusion.discretisation.discretisation import State
from pnp_exclusion.errors import OneRankDiskError
from pnp_exclusion.mesh.periodic import unfolded
from pnp_exclusion.observe.flux_parts import flux_fields
from pnp_exclusion.output.text import header
from pnp_exclusion.physics.energy import ENERGY
from pnp_exclusion.solution.solution import Solution


def write_fields(solution: Solution, path: Path, moments: Sequence[tuple[float, State]] = ()) -> None:
    """Write every field for ParaView (ADIOS2 VTX), one named quantity with its unit each; collective.

    moments
        States of a motion with their times, in ascending order; the solution itself, at the time 0, if there are none.

    Scalars and vectors have the degree of the solution, so that curved profiles are drawn as they are, and nodes that
    are evenly spaced in every cell, as VTK takes them to be; those of the solution are not from degree 3 on.
    Coordinates are in the unit of the tables (`pnp_exclusion.case.scales.Scales`).
    """
    discrete, scales = solution.discretisation, solution.setup.scales
    problem = discrete.problem
    mesh, dimension = problem.domain.drawn, problem.domain.dimension
    drawn, numbers = unfolded(discrete.space, mesh)
    solved = fem.Function(drawn)

    # densities jump between cells of unlike partition energy
    jumps = discrete.partition_of_cells is not None

    def evenly(components: int) -> fem.Function:
        shape = (components,) if components > 1 else None
        variant = basix.LagrangeVariant.equispaced
        element = basix.ufl.element(
            "Lagrange", mesh.basix_cell(), discrete.degree, variant, shape=shape, discontinuous=jumps
        )
        return fem.Function(fem.functionspace(mesh, element))

    unknown = evenly(discrete.layout.size)
    scalar, vector = evenly(1).function_space, evenly(dimension).function_space
    functions: dict[str, fem.Function] = {}

    def named(name: str, space: fem.FunctionSpace) -> fem.Function:
        return functions.setdefault(name, fem.Function(space, name=name))

    def add(name: str, unit: str, values: np.ndarray) -> None:
        named(header(name, unit), scalar).x.array[:] = values

    linear = fem.Function(fem.functionspace(mesh, ("Lagrange", 1)))
    cellwise = fem.functionspace(mesh, ("Discontinuous Lagrange", 0))
    raised = fem.Function(scalar)

    def fill() -> None:
        """Write the fields of the state in the unknown into the functions."""
        discrete.layout.at_nodes(solved.x.array)[:] = discrete.layout.at_nodes(discrete.values)[numbers]
        unknown.interpolate(solved)
        nodes = discrete.layout.at_nodes(unknown.x.array)
        partition = None
        if discrete.partition_of_cells is not None:
            partition = np.empty((len(problem.species), len(nodes)))
            partition[:, scalar.dofmap.list] = discrete.partition_of_cells[:, :, None]
        mu, potential = discrete.reported_potentials(nodes, partition)
        rho = discrete.densities(nodes, partition)[1:]
        if potential is not None:
            add("potential", "V" if scales.si else "kT/e", potential * scales.potential)
        for a, name in enumerate(problem.names):
            kind = "concentration" if scales.si else "fraction"
            add(f"{kind}_{name}", "mol/L" if scales.si else "", rho[a] * scales.displayed_contents[a])
            add(f"electrochemical_potential_{name}", "kT", mu[a])
        add("packing", "", problem.packing(rho))
        beta = discrete.inverse_temperature(nodes)
        if beta is not None:
            add("temperature", "", 1.0 / beta)
            add(ENERGY, "", discrete.contents(nodes)[-1])
        averaged = flux_fields(discrete)
        _, vertices = unfolded(averaged.function_space, mesh)
        of_vertices = averaged.x.array.reshape(-1, len(problem.quantities), dimension)[vertices]
        for a, name in enumerate(problem.quantities):
            function = named(header(f"flux_{name}", "mol/m^2/s" if scales.si else ""), vector)
            for component in range(dimension):
                linear.x.array[:] = of_vertices[:, a, component]
                raised.interpolate(linear)
                function.x.array[component::dimension] = raised.x.array * scales.flux
        if problem.coupled:
            fixed = named(header("fixed_charge", "mol/L" if scales.si else ""), cellwise)
            fixed.x.array[:] = discrete.problem.immobile_charge * scales.displayed_concentration

    def show_and_fill(state: State) -> None:
        discrete.show(state)
        fill()

    states = list(moments) or [(0.0, solution.state)]
    show_and_fill(states[0][1])
    coordinates = mesh.geometry.x.copy()
    mesh.geometry.x[:] *= scales.length_in_unit
    try:
        writer = VTXWriter(mesh.comm, path, list(functions.values()))
        writer.write(states[0][0])
        for time, state in states[1:]:
            mesh.geometry.x[:] = coordinates
            show_and_fill(state)
            mesh.geometry.x[:] *= scales.length_in_unit
            writer.write(time)
        writer.close()
    except RuntimeError as error:
        # the writer's destructor would fail again, and end the process before it could say why
        _broken_writers.append(writer)
        raise OneRankDiskError(f"cannot write {path.name}: {_reason(str(error))}") from None
    finally:
        mesh.geometry.x[:] = coordinates


def _reason(message: str) -> str:
    """What the system said, in a message of ADIOS2, which has colours, a date and the names of its functions beside."""
    number = re.search(r"errno = (\d+)", message)
    return os.strerror(int(number[1])) if number else message.splitlines()[0]


_broken_writers: list[VTXWriter] = []
