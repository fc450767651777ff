#!/usr/bin/env bash
# Run a tool on a slurm cluster.
# Environment: GPUS, GPUS_PER_NODE, CPUS_PER_TASK, SRUN_ARGS, PORT.
# Usage: slurm_run.sh TOOL PARTITION JOB_NAME ARGUMENTS

set -euo pipefail

TOOLS=$(cd "$(dirname "$0")" && pwd)
GPUS_PER_NODE=${GPUS_PER_NODE:-8}

# mmengine reads MASTER_PORT. Two jobs on a node need different ports.
export MASTER_PORT=${PORT:-$((20000 + RANDOM % 10000))}
export PYTHONPATH="$TOOLS/..${PYTHONPATH:+:$PYTHONPATH}"
# SRUN_ARGS is split on purpose: it holds several options.
# shellcheck disable=SC2086
exec srun -p "$2" \
    --job-name="$3" \
    --gres=gpu:"$GPUS_PER_NODE" \
    --ntasks="${GPUS:-8}" \
    --ntasks-per-node="$GPUS_PER_NODE" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} \
    "${PYTHON:-python}" -u "$TOOLS/$1" --launcher slurm "${@:4}"
