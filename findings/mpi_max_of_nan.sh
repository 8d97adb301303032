#!/bin/sh
# MPI.MAX over a NaN gives ranks of one reduction different answers, and often none of them is NaN.
#
# Versions: mpi4py 4.1.2, mpich 5.0.2, numpy 2.5.5.
#
# Problem: on four ranks one value is NaN, the others are 0, 1, 2, 3; the largest of all is asked for, by the method for
# arrays (Allreduce) and by that for Python numbers (allreduce), as for the largest residual or the largest density.
# Expected: that Allreduce gives every rank one and the same value, as its name says; and NaN, as of numpy.max.
# Seen: Allreduce leaves NaN on some ranks and a number on others. allreduce gives all ranks the same, but it is NaN only
# if rank 0 has it, and else can be smaller than the largest number: what came before the NaN is forgotten.
# Why it matters here: a Newton loop that asks "is the largest residual finite?" goes on with some ranks and ends with
# others, so that the next collective call never returns; or a diverged rank is not noticed at all. Reduce flags
# (isnan with MPI.LOR) and then numbers.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet mpi4py==4.1.2 mpich==5.0.2 numpy==2.5.5
cat > "$folder/reduce.py" <<'PY'
import sys

import numpy as np
from mpi4py import MPI

comm = MPI.COMM_WORLD
differ = lost = too_small = 0
for where in range(comm.size):
    value = np.nan if comm.rank == where else float(comm.rank)
    found = np.empty(1)
    comm.Allreduce(np.array([value]), found, op=MPI.MAX)
    arrays, number = comm.allgather(float(found[0])), comm.allreduce(value, op=MPI.MAX)
    if comm.rank == 0:
        print(f"NaN on rank {where}: Allreduce gives the ranks {arrays}, allreduce {number}")
    differ += len({repr(one) for one in arrays}) > 1
    lost += not np.isnan(number)
    largest = max(rank for rank in range(comm.size) if rank != where)
    too_small += number < largest
as_described = differ == comm.size and lost == comm.size - 1 and too_small > 0
if comm.rank == 0:
    print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
"$folder/venv/bin/mpiexec" -n 4 "$folder/venv/bin/python" "$folder/reduce.py"
