"""Which physical group each element of a gmsh file of format 2 is in.

There every element has a group of its own, beside the number of the entity it lies on. gmsh keeps groups of entities
only, and puts all elements of an entity into every group that one of them has: right for files that gmsh wrote, wrong
for those of other programs, which often number no entities.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np


def groups_of_elements(path: Path, nodes_of: Callable[[int], int]) -> np.ndarray | None:
    """Return number, kind and group (0 for none) of the elements of a file, ``(elements, 3)``; None in other formats.

    nodes_of
        How many nodes an element has, by gmsh's number of its kind.
    """
    with path.open("rb") as stream:
        stream.readline()
        version, binary, size = stream.readline().split()[:3]
        if not version.startswith(b"2"):
            return None
        if binary == b"0":
            return _of_text(stream)
        little = stream.read(4) == b"\x01\x00\x00\x00"
        return _of_binary(stream, "<i4" if little else ">i4", int(size), nodes_of)


def _count_of_section(stream: BinaryIO, name: bytes) -> int:
    for line in stream:
        if line.strip() == name:
            return int(stream.readline())
    raise ValueError(f"there is no section {name.decode()}")


def _of_text(stream: BinaryIO) -> np.ndarray:
    found = np.zeros((_count_of_section(stream, b"$Elements"), 3), dtype=np.int64)
    for row in found:
        number, kind, tags, *more = stream.readline().split(maxsplit=4)
        row[:] = int(number), int(kind), int(more[0]) if int(tags) else 0
    return np.abs(found)


def _of_binary(stream: BinaryIO, integer: str, size: int, nodes_of: Callable[[int], int]) -> np.ndarray:
    stream.seek(_count_of_section(stream, b"$Nodes") * (4 + 3 * size), 1)
    missing = _count_of_section(stream, b"$Elements")
    found = [np.empty((0, 3), dtype=np.int64)]
    while missing > 0:
        kind, count, tags = (int(n) for n in np.frombuffer(stream.read(12), dtype=integer))
        width = 1 + tags + nodes_of(kind)
        block = np.frombuffer(stream.read(4 * count * width), dtype=integer).reshape(count, width)
        groups = block[:, 1] if tags else np.zeros(count)
        found.append(np.column_stack([block[:, 0], np.full(count, kind), groups]).astype(np.int64))
        missing -= count
    return np.abs(np.concatenate(found))
