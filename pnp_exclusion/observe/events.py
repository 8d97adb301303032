"""What events at finite rates dissipate in a solution. Dimensionless."""

from __future__ import annotations

import ufl

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.integration import CellwiseForm


def dissipation_of_events(discrete: Discretisation) -> float:
    """Return ``2 (r - r')^2/(r + r')``, summed over all events, of the forward and backward rates; collective.

    It is the entropy production ``(r - r') log(r/r')`` near equilibrium, and never more: what bounds the precision of
    currents whose noise is Gaussian, as ``int J M^-1 J`` does that of diffusion.
    """
    weak_form, integration = discrete.weak_form, discrete.integration

    def make() -> CellwiseForm | None:
        places = [(integration.dx, weak_form.volume_events())]
        places += [(integration.ds(tag), weak_form.events_at(tag)) for tag in range(len(discrete.problem.boundaries))]
        total = ufl.Form([])
        for measure, events in places:
            for event in events:
                total += 2.0 * (event.forth - event.back) ** 2 / (event.forth + event.back) * measure
        return None if total.empty() else integration.form(total)

    form = discrete.forms.kept("dissipation of events", make)
    return 0.0 if form is None else discrete.forms.total(form)
