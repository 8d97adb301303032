"""Which peer runs which problem on which meshes, and what the problems' answers are."""

from __future__ import annotations

from dataclasses import dataclass

from common import surface_charge


@dataclass(frozen=True)
class Series:
    """One way of one peer on one problem, and its ladder of sizes, coarse to fine."""

    peer: str
    variant: str
    sizes: tuple[float, ...]

    @property
    def script(self) -> str:
        """Of this folder."""
        return "ours.py" if self.peer == OURS else f"peer_{self.peer}.py"

    @property
    def label(self) -> str:
        """For the tables."""
        return f"{NAMES[self.peer]} {self.variant}".strip()


OURS = "ours"
NAMES = {
    OURS: "**ours**",
    "scipy": "solve_bvp",
    "fipy": "FiPy",
    "ngsolve": "NGSolve",
    "dolfinx": "DOLFINx densities",
    "matscipy": "matscipy",
    "devsim": "DEVSIM",
}
PEERS = tuple(name for name in NAMES if name != OURS)

CROWDED = [
    Series(OURS, "P2", (0.25, 0.5, 1, 2)),
    Series(OURS, "P3", (0.5, 1, 2, 4)),
    Series(OURS, "P4", (0.5, 1, 2, 3)),
    Series("scipy", "densities", (2, 4, 6, 8, 10)),
    Series("scipy", "equilibrium", (2, 4, 6, 8, 10)),
    Series("fipy", "", (100, 200, 400)),
    Series("fipy", "ramped", (100, 200)),
    Series("dolfinx", "P2", (100, 400, 1600)),
    Series("dolfinx", "P2-ramp", (100, 400, 1600)),
    Series("devsim", "densities", (0.5, 1, 4)),
    Series("devsim", "equilibrium", (0.5, 1, 2, 4, 8, 16, 32)),
]

LADDERS: dict[str, list[Series]] = {
    "P1": [
        Series(OURS, "P2", (0.1, 0.25, 0.5, 1, 2)),
        Series(OURS, "P3", (0.1, 0.25, 0.5, 1, 2)),
        Series(OURS, "P4", (0.1, 0.25, 0.5, 1)),
        Series("scipy", "", (2, 3, 4, 5, 6, 7, 8, 9, 10)),
        Series("fipy", "", (20, 80, 320, 1280)),
        Series("dolfinx", "P1", (20, 80, 320, 1280)),
        Series("dolfinx", "P2", (10, 20, 40, 80, 160, 320)),
        Series("dolfinx", "P4", (5, 10, 20, 40, 80)),
        Series("matscipy", "", (25, 50, 100, 200)),
        Series("devsim", "", (1, 2, 4, 8, 16, 32, 64)),
    ],
    "P2": CROWDED,
    "P4": [
        Series(OURS, "P1", (0.25, 0.5, 1)),
        Series(OURS, "P2", (0.25, 0.5, 1, 2, 3.3)),
        Series(OURS, "P3", (0.25, 0.5, 1, 2)),
        Series(OURS, "P4", (0.25, 0.5, 1, 2, 5)),
        Series("fipy", "", (20, 40, 80, 160)),
        Series("ngsolve", "P2", (1, 2, 4, 8, 14)),
        Series("ngsolve", "P4", (0.5, 1, 2, 4)),
        Series("ngsolve", "Q6", (1, 2, 4)),
        Series("dolfinx", "P1", (20, 40, 80, 160)),
        Series("dolfinx", "P2", (10, 20, 40, 80)),
        Series("dolfinx", "P4", (5, 10, 20, 40)),
        Series("devsim", "", (1, 2, 4, 6)),
    ],
    "P5": [
        Series(OURS, "P1", (0.25, 0.5, 1, 2)),
        Series(OURS, "P2", (0.25, 0.5, 1, 1.7)),
        Series(OURS, "P3", (0.25, 0.5, 1, 1.5)),
        Series(OURS, "P4", (1,)),
        Series("ngsolve", "P2", (0.5, 1, 2)),
        Series("ngsolve", "P4", (0.5, 1)),
        Series("ngsolve", "Q3", (1, 2)),
        Series("ngsolve", "Q4", (1,)),
        Series("dolfinx", "P1", (10, 20)),
        Series("dolfinx", "P1-ilu", (10, 20, 30)),
        Series("dolfinx", "P2", (5, 10)),
        Series("dolfinx", "P2-ilu", (5, 10, 20)),
    ],
}

LADDERS["P6"] = [
    Series(OURS, "P1", (10, 20, 40, 80, 160)),
    Series(OURS, "P2", (5, 10, 20, 40, 80)),
    Series(OURS, "P3", (5, 10, 20, 40)),
    Series(OURS, "P2-adaptive", (2, 3, 4, 5)),
    Series(OURS, "P3-adaptive", (2, 3, 4, 5, 6)),
    Series("ngsolve", "P2-adaptive", (4, 6, 8, 10)),
    Series("ngsolve", "P3-adaptive", (2, 4, 5, 6, 8, 10)),
    Series("ngsolve", "P4-adaptive", (2, 4, 5, 6, 7, 8)),
]
LADDERS["P7"] = [
    Series(OURS, "P2", (6, 12, 24, 48, 96)),
    Series(OURS, "P3", (6, 12, 24, 48)),
    Series(OURS, "P2-adaptive", (2, 3, 4, 5)),
    Series(OURS, "P3-adaptive", (2, 3, 4, 5, 6)),
    Series("ngsolve", "P2-adaptive", (4, 6, 8, 10)),
    Series("ngsolve", "P3-adaptive", (4, 6, 8, 10, 12)),
    Series("ngsolve", "P4-adaptive", (4, 6, 8, 10, 12)),
]

CANNOT: dict[str, dict[str, str]] = {
    "P1": {"ngsolve": "compared in two and three dimensions only"},
    "P2": {
        "matscipy": "its transport solver knows point ions only",
        "ngsolve": "compared in two and three dimensions only",
    },
    "P4": {
        "scipy": "solve_bvp is for one dimension",
        "matscipy": "one dimension only",
    },
    "P5": {
        "scipy": "solve_bvp is for one dimension",
        "matscipy": "one dimension only",
        "fipy": "compared in one and two dimensions only",
        "devsim": "compared in one and two dimensions only (a mesh in 3D comes from another program)",
    },
}

VOLTAGES = (1.0, 10.0, 40.0)
"""Of P2."""

REFERENCES: dict[str, tuple[float, ...]] = {
    # solve_bvp at tol 1e-10; DOLFINx P4 on 160 cells has the same 13 digits
    "P1": (1.12836787964016, -0.66843075684111),
    **{f"P2 at V = {v:g}": (surface_charge(v),) for v in VOLTAGES},
    # NGSolve, order 6 on 20 x 20 quadrilaterals and on triangles: the same 12 digits
    "P4": (1.2540892670863, -0.6194519038116),
    # NGSolve, orders 4 to 6 on hexahedra and 4 and 5 on tetrahedra: they agree to 2e-8
    "P5": (1.180232680, -0.649491031),
    # ours of degree 3, refined to 3e-8 and corrected by its estimate; NGSolve of order 4 agrees to 5e-8 on P6
    "P6": (0.03194052078, -0.01708858064),
    "P7": (-0.2388250794,),
}

ACCURACY = {"P5": 5e-8, "P6": 5e-8, "P7": 1e-7}
"""Of the references, relative; that of the others is below every error of the tables."""

CHECKS: dict[str, list[Series]] = {
    # fine runs that support the references, by independent codes and discretisations
    "P1": [Series("scipy", "", (10,)), Series(OURS, "P2", (16,)), Series("dolfinx", "P4", (160,))],
    "P4": [Series("ngsolve", "Q6", (4,)), Series("ngsolve", "P6", (2,)), Series(OURS, "P2", (6,))],
    "P5": [Series("ngsolve", "P4", (1.5,)), Series("ngsolve", "Q6", (1,)), Series(OURS, "P2", (2,))],
}
