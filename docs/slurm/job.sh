#!/bin/bash
# One case on many ranks:  sbatch job.sh case.toml results/case
# A case that moves is stopped two minutes before the time is up, and submitted again to go on from its checkpoint.
#SBATCH --job-name=pnp-exclusion
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=16
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=4G
#SBATCH --time=01:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

case_file=${1:?usage: sbatch job.sh CASE FOLDER}
folder=${2:?usage: sbatch job.sh CASE FOLDER}

# conda-forge:  source activate fenicsx        Spack:  spack load py-fenics-dolfinx && source .venv/bin/activate
if [ -n "${PNP_EXCLUSION_SETUP:-}" ]; then
    # shellcheck disable=SC1090
    source "$PNP_EXCLUSION_SETUP"
fi

export OMP_NUM_THREADS=1 # the ranks are the parallelism
# compiled forms on every node's own disk: thousands of ranks opening them on a shared one are slow
export XDG_CACHE_HOME="${TMPDIR:-/tmp}/pnp-exclusion-$(id -un)-$SLURM_JOB_ID"
each_node=(srun --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1)
# compiled code is loaded from there: a folder of somebody else's is refused
"${each_node[@]}" mkdir -m 700 "$XDG_CACHE_HOME"
clear_cache() { "${each_node[@]}" rm -rf "$XDG_CACHE_HOME"; }
trap clear_cache EXIT

"${each_node[@]}" pnp-exclusion warm "$case_file" --quiet

begin=(--overwrite)
if [ -d "$folder/checkpoints" ]; then begin=(--restart "$folder"); fi
# this shell hears the signal, and hands it on to the ranks of the step
heard=no
trap 'heard=yes; scancel --signal=TERM "$SLURM_JOB_ID"' TERM
srun pnp-exclusion run "$case_file" -o "$folder" "${begin[@]}" &
code=0
wait $! || code=$?
if [ "$heard" = yes ] && [ "$code" -gt 128 ]; then # the signal has ended the waiting, not yet the step
    code=0
    wait $! || code=$?
fi
# 130: heard as results were written already
if [ "$code" -eq 5 ] || { [ "$heard$code" = yes130 ] && [ -d "$folder/checkpoints" ]; }; then
    clear_cache
    trap - EXIT
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
