"""Fields as ADIOS2 VTX, which ParaView reads: cells of the degree of the solution."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from dolfinx.io import VTXWriter

from pnp_exclusion.errors import OneRankDiskError
from pnp_exclusion.output.drawn_fields import DrawnFields


class Vtx:
    """A file of ADIOS2 VTX, of the degree of the solution; as `pnp_exclusion.output.vtkhdf.VtkHdf`."""

    def __init__(self, path: Path, fields: DrawnFields, times: list[float] | None) -> None:
        self.path = path
        self.errors: dict[str, float] = {}
        self._fields, self._times = fields, times or [0.0]
        self._writer: VTXWriter | None = None

    def write(self, step: int) -> None:
        """Write what the fields show now as one of the states."""
        self._guarded(lambda: self._write(self._times[step]))

    def close(self) -> None:
        """Bring everything to the disk."""
        if self._writer is not None:
            self._guarded(self._writer.close)

    def _write(self, time: float) -> None:
        fields, mesh = self._fields, self._fields.mesh
        coordinates = mesh.geometry.x.copy()
        mesh.geometry.x[:] *= fields.scales.length_in_unit
        try:
            if self._writer is None:
                self._writer = VTXWriter(mesh.comm, self.path, [*fields.nodal.values(), *fields.cellwise.values()])
            self._writer.write(time)
        finally:
            mesh.geometry.x[:] = coordinates

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except RuntimeError as error:
            # the writer's destructor would fail again, and end the process before it could say why
            _broken_writers.append(self._writer)
            raise OneRankDiskError(f"cannot write {self.path.name}: {_reason(str(error))}") from None


def _reason(message: str) -> str:
    """What the system said, in a message of ADIOS2, which has colours, a date and the names of its functions beside."""
    number = re.search(r"errno = (\d+)", message)
    return os.strerror(int(number[1])) if number else message.splitlines()[0]


_broken_writers: list[VTXWriter | None] = []
