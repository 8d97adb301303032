"""The command ``verify``: its references hold, and one that does not is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pnp_exclusion.cli.main import main
from pnp_exclusion.verification import references


@pytest.mark.parametrize("reference", references.REFERENCES, ids=lambda reference: reference.name)
def test_what_is_known_is_computed(reference: references.Reference):
    """Closed forms and exact solutions, named in the table with their sources."""
    outcome = references.outcome_of(reference)
    assert outcome.holds, outcome


def test_a_reference_that_does_not_hold_is_told(capsys, monkeypatch):
    """The flux in a constant field beside one that is wrong by a tenth of a percent."""
    goldman = next(one for one in references.REFERENCES if "Goldman" in one.source)
    wrong = replace(goldman, known=lambda: 1.001 * goldman.known())
    monkeypatch.setattr(references, "REFERENCES", (wrong,))
    assert main(["verify", "--markdown"]) == 3
    printed = capsys.readouterr()
    assert "| flux in a constant field | pnp | Goldman 1943 |" in printed.out
    assert "flux in a constant field: beyond its tolerance" in printed.err
