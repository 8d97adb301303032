"""Equations of reactions and chemical formulas, as they are written in a case."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from pnp_exclusion.case.base import refusal

ELECTRON = "e-"
NOTHING = "0"
"""A side of what the case does not follow: the solvent, a metal."""
LARGEST_COUNT = 9
_TERM = re.compile(r"(?:([1-9]\d*)\s+)?(\S+)")
_ARROWS = ("<->", "->")


@dataclass(frozen=True)
class Equation:
    """A reaction as it is written.

    reactants, products
        How many of each species.
    electrons
        That the forward direction takes up, negative for those that it gives.
    reversible
        Whether it goes back too.
    complete
        Whether both sides name all that takes part.
    """

    reactants: Mapping[str, int]
    products: Mapping[str, int]
    electrons: int
    reversible: bool
    complete: bool

    @property
    def species(self) -> list[str]:
        """Names of what takes part, each once."""
        return list(dict.fromkeys([*self.reactants, *self.products]))

    def excess(self, of_each: Mapping[str, float]) -> float:
        """Return by how much the products have more than the reactants of what species have of each."""
        left, right = (
            sum(count * of_each[name] for name, count in side.items()) for side in (self.reactants, self.products)
        )
        return right - left


def parsed_equation(text: str) -> Equation:
    """Return the reaction of a text such as ``"A + 2 B <-> C"``; a refusal if it is none."""
    words = text.split()
    arrows = [word for word in words if word in _ARROWS]
    if len(arrows) != 1:
        raise refusal(
            f'"{text}" is not a reaction; right would be "A + 2 B <-> C", or "A -> B" for one that never goes back'
        )
    left, right = " ".join(words).split(f" {arrows[0]} ") if f" {arrows[0]} " in " ".join(words) else ("", "")
    sides = [_side(side, text) for side in (left, right)]
    electrons = [side.pop(ELECTRON, 0) for side in sides]
    reactants, products = sides
    if reactants == products:
        raise refusal(f'"{text}" changes nothing: both sides are the same')
    return Equation(
        dict(reactants), dict(products), electrons[0] - electrons[1], arrows[0] == "<->", NOTHING not in (left, right)
    )


def _side(side: str, text: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    if side == NOTHING:
        return counts
    for term in side.split(" + "):
        found = _TERM.fullmatch(term)
        if found is None:
            raise refusal(
                f'"{text}": "{term}" is not a species with a number before it; terms stand between " + ", as in '
                f'"A + 2 B <-> C", and a side of what the case does not follow is {NOTHING}'
            )
        counts[found[2]] += int(found[1] or 1)
        if counts[found[2]] > LARGEST_COUNT:
            raise refusal(f'"{text}": more than {LARGEST_COUNT} of "{found[2]}" do not meet at once')
    return counts


def atoms_of(formula: str) -> Counter[str]:
    """Return how many atoms of every element a formula such as ``"Fe(CN)6"`` has; a refusal if it is none."""
    stack: list[Counter[str]] = [Counter()]
    position = 0
    for part in re.finditer(r"([A-Z][a-z]?)(\d*)|(\()|(\))(\d*)", formula):
        if part.start() != position:
            break
        position = part.end()
        if part[1]:
            stack[-1][part[1]] += int(part[2] or 1)
        elif part[3]:
            stack.append(Counter())
        elif len(stack) > 1:
            for element, count in stack.pop().items():
                stack[-1][element] += count * int(part[5] or 1)
        else:
            position = -1
            break
    if position != len(formula) or len(stack) != 1 or not formula:
        raise refusal(f'"{formula}" is not a chemical formula; right would be "Fe(CN)6", without the charge')
    return stack[0]
