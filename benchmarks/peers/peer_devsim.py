"""DEVSIM: Scharfetter-Gummel finite volumes and Newton with symbolic derivatives, as in its example `bioapp1` for ions.

The size divides the spacings of the mesh lines, between which DEVSIM grades the mesh. Variants for P2: "densities",
with the vacancies' logarithm in the exponent of the flux and the voltage raised in steps, as semiconductors are
biased; "equilibrium", the potential alone, which is DEVSIM's usual first step.
"""

from __future__ import annotations

from itertools import pairwise

import common as c
import devsim_openblas

devsim_openblas.configure()

import devsim

WHERE = {"device": "device", "region": "region"}
IONS = {"plus": 1, "minus": -1}
RAMP_STEP = 0.5


def lines(task: c.Task) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Return positions and spacings of the mesh lines along x and y: fine at electrodes and at the charge's edges."""
    if task.problem == "P2":
        return [(0.0, 2e-4 / task.size), (0.2, 4e-3 / task.size), (1.0, 2e-2 / task.size)], []
    edge, middle = 0.02 / task.size, 0.05 / task.size
    if task.problem == "P1":
        return [(0.0, edge / 2), (0.5, middle / 2), (1.0, edge / 2)], []
    x = [(0.0, edge), (0.2, middle), (c.FROM, edge), (0.5, middle), (c.TO, edge), (0.8, middle), (1.0, edge)]
    return x, [(0.0, middle), (c.HIGH, edge), (1.0, middle)]


def mesh(task: c.Task) -> None:
    """Make the device with contacts on the left and on the right."""
    xs, ys = lines(task)
    sides = {0.0: "left", 1.0: "right"}
    if task.dimension == 1:
        devsim.create_1d_mesh(mesh="mesh")
        for position, spacing in xs:
            devsim.add_1d_mesh_line(mesh="mesh", pos=position, ps=spacing, tag=sides.get(position, f"at{position}"))
        devsim.add_1d_region(mesh="mesh", material="solution", region="region", tag1="left", tag2="right")
        for side in sides.values():
            devsim.add_1d_contact(mesh="mesh", name=side, tag=side, material="metal")
    else:
        # a contact must lie between two regions, hence the strips outside
        devsim.create_2d_mesh(mesh="mesh")
        for direction, marks in (("x", [(-0.01, 0.01), *xs, (1.01, 0.01)]), ("y", ys)):
            for position, spacing in marks:
                devsim.add_2d_mesh_line(mesh="mesh", dir=direction, pos=position, ps=spacing)
        devsim.add_2d_region(mesh="mesh", material="solution", region="region")
        devsim.add_2d_region(mesh="mesh", material="metal", region="strip1", xl=-0.01, xh=0.0)
        devsim.add_2d_region(mesh="mesh", material="metal", region="strip2", xl=1.0, xh=1.01)
        for x, side in sides.items():
            devsim.add_2d_contact(mesh="mesh", name=side, region="region", material="metal", xl=x, xh=x, bloat=1e-10)
    devsim.finalize_mesh(mesh="mesh")
    devsim.create_device(mesh="mesh", device="device")


def model(kind: str, name: str, equation: str, variables: list[str]) -> None:
    """Define an edge or node model and its derivatives by the variables."""
    create = devsim.edge_model if kind == "edge" else devsim.node_model
    create(**WHERE, name=name, equation=equation)
    for place in ("@n0", "@n1") if kind == "edge" else ("",):
        for variable in variables:
            create(**WHERE, name=f"{name}:{variable}{place}", equation=f"simplify(diff({equation}, {variable}{place}))")


def equations(task: c.Task, ions: dict[str, int]) -> None:
    """Write the equations: Poisson and one continuity equation for every ion that is an unknown."""
    crowded = task.problem == "P2"
    for variable in ("phi", *ions):
        devsim.node_solution(**WHERE, name=variable)
        devsim.edge_from_node_model(**WHERE, node_model=variable)
    devsim.node_solution(**WHERE, name="fixed")
    devsim.set_parameter(name="lambda2", value=(c.LAYER_DEBYE_LENGTH if crowded else c.DEBYE_LENGTH) ** 2)
    devsim.set_parameter(name="bulk", value=c.BULK)
    model("edge", "D", "lambda2*(phi@n0 - phi@n1)*EdgeInverseLength", ["phi"])
    boltzmann = "bulk*(exp(phi) - exp(-phi))/(1 + bulk*(exp(phi) + exp(-phi) - 2))"
    model("node", "charge", "minus - plus - fixed" if ions else boltzmann, list(ions) or ["phi"])
    devsim.equation(**WHERE, name="poisson", variable_name="phi", node_model="charge", edge_model="D")
    for ion, valence in ions.items():
        drop = f"{valence}*(phi@n0 - phi@n1)"
        if crowded:
            drop += " + log(1 - plus@n1 - minus@n1) - log(1 - plus@n0 - minus@n0)"
        by = ["phi", *ions] if crowded else ["phi"]
        model("edge", f"drop_{ion}", drop, by)
        model("edge", f"B_{ion}", f"B(drop_{ion})", by)
        flux = f"EdgeInverseLength*({ion}@n0*(B_{ion} + drop_{ion}) - {ion}@n1*B_{ion})"
        model("edge", f"J{ion}", flux, by if crowded else [*by, ion])
        devsim.equation(**WHERE, name=ion, variable_name=ion, edge_model=f"J{ion}", variable_update="positive")
    for side, amount in (("left", c.SALT_LEFT), ("right", c.BULK if crowded else c.SALT_RIGHT)):
        contact = {"device": "device", "contact": side}
        devsim.set_parameter(name=f"{side}_bias", value=0.0)
        model("node", f"{side}_phi", f"phi - {side}_bias", ["phi"])
        devsim.contact_equation(**contact, name="poisson", node_model=f"{side}_phi", edge_charge_model="D")
        for ion in {} if side == "left" and crowded else ions:
            model("node", f"{side}_{ion}", f"{ion} - {amount}", [ion])
            devsim.contact_equation(**contact, name=ion, node_model=f"{side}_{ion}", edge_current_model=f"J{ion}")


def inside(positions: list[float], low: float, high: float) -> dict[float, float]:
    """Return for every mesh line the share of its control volume between ``low`` and ``high``."""
    x = sorted(set(positions))
    ends = [x[0], *(0.5 * (a + b) for a, b in pairwise(x)), x[-1]]
    return {p: max(0.0, min(b, high) - max(a, low)) / (b - a) for p, (a, b) in zip(x, pairwise(ends), strict=True)}


def prepare(task: c.Task) -> c.Prepared:
    """Build everything; a solve starts from a linear state, in P2 from the bulk without voltage."""
    ions = {} if task.variant == "equilibrium" else IONS
    ramped = task.variant == "densities"
    mesh(task)
    equations(task, ions)
    x = devsim.get_node_model_values(**WHERE, name="x")
    if task.dimension > 1:
        y = devsim.get_node_model_values(**WHERE, name="y")
        along, across = inside(x, c.FROM, c.TO), inside(y, 0.0, c.HIGH)
        fixed = [c.FIXED_CHARGE * along[a] * across[b] for a, b in zip(x, y, strict=True)]
        devsim.set_node_values(**WHERE, name="fixed", values=fixed)
    start = [0.0 if task.problem == "P2" else task.voltage * (1.0 - a) for a in x]
    salt = [c.BULK if task.problem == "P2" else c.SALT_LEFT + (c.SALT_RIGHT - c.SALT_LEFT) * a for a in x]

    def solve() -> None:
        devsim.set_node_values(**WHERE, name="phi", values=start)
        for ion in ions:
            devsim.set_node_values(**WHERE, name=ion, values=salt)
        steps = round(task.voltage / RAMP_STEP) if ramped else 1
        for step in range(1, steps + 1):
            devsim.set_parameter(name="left_bias", value=task.voltage * step / steps)
            try:
                devsim.solve(type="dc", absolute_error=1e-6, relative_error=1e-7, maximum_iterations=100)
            except devsim.error as error:
                overfull = "logarithm of no vacancies" if "invalid" in str(error) else "Newton did not converge"
                raise c.NotSolved(f"{overfull} at V = {task.voltage * step / steps:g}") from None

    def measure(_: None) -> list[float]:
        if task.problem != "P2":
            return [-devsim.get_contact_current(device="device", contact="right", equation=ion) for ion in ions]
        # what the contact reports lacks the charge in its own half cell
        own = [devsim.get_node_model_values(**WHERE, name=name)[0] for name in ("charge", "NodeVolume")]
        return [devsim.get_contact_charge(device="device", contact="left", equation="poisson") + own[0] * own[1]]

    return c.Prepared((1 + len(ions)) * len(x), solve, measure)


if __name__ == "__main__":
    c.main(prepare)
