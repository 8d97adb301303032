#!/bin/bash
# One case on many ranks:  sbatch job.sh case.toml results/case
#SBATCH --job-name=pnp-exclusion
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=16
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=4G
#SBATCH --time=01:00:00
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
trap '"${each_node[@]}" rm -rf "$XDG_CACHE_HOME"' EXIT

"${each_node[@]}" pnp-exclusion warm "$case_file" --quiet
srun pnp-exclusion run "$case_file" -o "$folder" --overwrite
