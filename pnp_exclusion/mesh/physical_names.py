"""Names of boundaries and regions: the sides of a box, and the physical groups in the header of a gmsh file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SIDES = ("left", "right", "bottom", "top", "back", "front")
"""Names of the sides of an interval, rectangle or box: lower and upper in x, y, z."""


class MeshFileError(ValueError):
    """A mesh file that is missing, broken or without named groups."""


@dataclass(frozen=True)
class MeshGroups:
    """Names of the physical groups by their dimension."""

    names: dict[int, list[str]]

    @property
    def dimension(self) -> int:
        """The highest dimension with a named group: that of the cells."""
        return max(self.names)

    def cells(self, dimension: int) -> list[str]:
        """Names that can mark regions."""
        return self.names.get(dimension, [])

    def facets(self, dimension: int) -> list[str]:
        """Names that can mark boundaries."""
        return self.names.get(dimension - 1, [])


def mesh_groups(path: Path) -> MeshGroups:
    """Read the group names of a ``.msh`` file (format 2 or 4, text or binary); raises `MeshFileError`."""
    try:
        with path.open("rb") as stream:
            if not stream.readline().startswith(b"$MeshFormat"):
                raise MeshFileError(f"{path} is not a gmsh file: it does not begin with $MeshFormat")
            return MeshGroups(_read_names(stream, path))
    except FileNotFoundError:
        raise MeshFileError(f"there is no mesh file {path}") from None
    except OSError as error:
        raise MeshFileError(f"mesh file {path} cannot be read: {error.strerror}") from None
    except MeshFileError:
        raise
    except ValueError as error:
        raise MeshFileError(f"{str(path)!r} is not the path of a file: {error}") from None


def _read_names(stream, path: Path) -> dict[int, list[str]]:
    for line in stream:
        if line.startswith(b"$PhysicalNames"):
            break
        if line.startswith((b"$Nodes", b"$Elements")):
            raise MeshFileError(f"mesh file {path} has no named physical groups")
    else:
        raise MeshFileError(f"mesh file {path} is broken: it ends before its nodes")
    names: dict[int, list[str]] = {}
    dimensions = {"0": 0, "1": 1, "2": 2, "3": 3}
    try:
        for _ in range(int(stream.readline())):
            dimension, _tag, name = stream.readline().decode().split(maxsplit=2)
            names.setdefault(dimensions[dimension], []).append(name.strip().strip('"'))
    except (ValueError, KeyError):
        raise MeshFileError(f"mesh file {path} is broken in $PhysicalNames") from None
    if not any(names):
        raise MeshFileError(f"mesh file {path} has no named physical groups of cells")
    return names
