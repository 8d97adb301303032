#!/bin/bash
# A sweep as an array of 16 jobs; a part that was cut short is submitted again (--array=3,7) and goes on:
#   pnp-exclusion sweep sweep.toml -o results/sweep --plan-only
#   array=$(sbatch --parsable --array=0-15 array.sh sweep.toml results/sweep 16)
#   sbatch --dependency=afterany:"$array" array.sh sweep.toml results/sweep gather
#SBATCH --job-name=pnp-exclusion-sweep
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=4G
#SBATCH --time=02:00:00
set -euo pipefail

case_file=${1:?usage: sbatch --array=0-15 array.sh CASE FOLDER PARTS|gather}
folder=${2:?usage: sbatch --array=0-15 array.sh CASE FOLDER PARTS|gather}
parts=${3:?usage: sbatch --array=0-15 array.sh CASE FOLDER PARTS|gather}

# conda-forge:  source activate fenicsx        Spack:  spack load py-fenics-dolfinx && source .venv/bin/activate
if [ -n "${PNP_EXCLUSION_SETUP:-}" ]; then
    # shellcheck disable=SC1090
    source "$PNP_EXCLUSION_SETUP"
fi

export OMP_NUM_THREADS=1
# one cache per node and user: tasks that find it empty each compile, and those that come later load
export XDG_CACHE_HOME="${TMPDIR:-/tmp}/pnp-exclusion-$(id -un)"
mkdir -p -m 700 "$XDG_CACHE_HOME"
[ -O "$XDG_CACHE_HOME" ] # compiled code is loaded from there: nobody else's

if [ "$parts" = gather ]; then
    srun pnp-exclusion sweep "$case_file" -o "$folder" --gather
else
    srun pnp-exclusion sweep "$case_file" -o "$folder" --part "$SLURM_ARRAY_TASK_ID" --parts "$parts"
fi
