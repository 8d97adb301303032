"""Exact solutions: references for the solver that do not share a line with it (numpy and scipy)."""

from .borders import (
    border_field,
    border_slope,
    equilibrium_fields,
    equilibrium_resistances,
    inverse_interval,
)
from .continuation import StationaryStateNotFound
from .double_layer import CrowdedLayer, PointIonLayer
from .identity import (
    Resistances,
    currents,
    currents_from_mobility,
    electrochemical_potential,
    force,
    identity_residual,
    resistances,
    sampled_resistances,
)
from .shdl import StationaryState, stationary_state

__all__ = [
    "CrowdedLayer",
    "PointIonLayer",
    "Resistances",
    "StationaryState",
    "StationaryStateNotFound",
    "border_field",
    "border_slope",
    "currents",
    "currents_from_mobility",
    "electrochemical_potential",
    "equilibrium_fields",
    "equilibrium_resistances",
    "force",
    "identity_residual",
    "inverse_interval",
    "resistances",
    "sampled_resistances",
    "stationary_state",
]
