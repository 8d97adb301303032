"""Names of boundaries and regions: the sides of a box, and the physical groups of a gmsh file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SIDES = ("left", "right", "bottom", "top", "back", "front")
"""Names of the sides of an interval, rectangle or box: lower and upper in x, y, z."""
ELEMENTS = ("point", "line", "surface element", "cell")
"""What a group of each dimension holds; of the highest dimension in a file: cells."""


class MeshFileError(ValueError):
    """A mesh file that is missing, broken or of a kind that cannot be used."""


@dataclass(frozen=True)
class Group:
    """A physical group of a mesh file.

    name
        Its name in cases and results: the one it has in the file, otherwise its number as a text.
    size
        How many elements it holds.
    """

    dimension: int
    number: int
    name: str
    size: int

    @property
    def named(self) -> bool:
        """Whether the file gives it a name."""
        return self.name != str(self.number)


@dataclass(frozen=True)
class MeshGroups:
    """The physical groups of a mesh file, and the dimension of its cells.

    of_file
        False for the names that a mesh made in Python has.
    """

    dimension: int
    groups: tuple[Group, ...]
    of_file: bool = True

    def cells(self) -> list[str]:
        """Names that can mark regions."""
        return self._names(self.dimension)

    def facets(self) -> list[str]:
        """Names that can mark boundaries."""
        return self._names(self.dimension - 1)

    def _names(self, dimension: int) -> list[str]:
        return list(dict.fromkeys(group.name for group in self.groups if group.dimension == dimension))

    def hint(self, word: str, dimension: int) -> str:
        """Return a phrase for somebody who looked for ``word`` among groups of a dimension and did not find it."""
        for group in self.groups:
            if self.of_file and group.dimension == dimension and group.named and str(group.number) == word:
                return f'group {word} has a name there: write "{group.name}"'
            if group.dimension not in (dimension, 0) and group.name == word:
                return f"the group of this name there is one of {_kind(group.dimension, self.dimension)}"
        return ""

    def listing(self, dimension: int) -> str:
        """Return the groups of a dimension with their numbers and sizes, or how there could be some."""
        found = [group for group in self.groups if group.dimension == dimension]
        if not self.of_file:
            names = ", ".join(f'"{group.name}"' for group in found)
            return f"the mesh names {names or 'none'} among its {_kind(dimension, self.dimension)}"
        if found:
            return f"the groups of {_kind(dimension, self.dimension)} in the file are {_shown(found, self.dimension)}"
        entity = ("Point", "Curve", "Surface", "Volume")[dimension]
        return (
            f"the file has no group of {_kind(dimension, self.dimension)}; make one in gmsh, e.g. "
            f'Physical {entity}("name") = {{1}};, and save the mesh again'
        )


def _kind(dimension: int, highest: int) -> str:
    return "cells" if dimension == highest else f"{ELEMENTS[dimension]}s"


def _shown(groups: Iterable[Group], highest: int) -> str:
    def one(group: Group) -> str:
        plural = "s" * (group.size != 1)
        what = "cell" if group.dimension == highest else ELEMENTS[group.dimension]
        number = f"number {group.number}, " if group.named else ""
        return f'"{group.name}" ({number}{group.size} {what}{plural})'

    return ", ".join(one(group) for group in groups)
