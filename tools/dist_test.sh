#!/usr/bin/env bash
# Test with several processes, one for each GPU, or on the CPU if there is none.
# More machines: set NNODES, NODE_RANK, MASTER_ADDR and PORT on each.

set -euo pipefail

if [ $# -lt 3 ]; then
    echo "Usage: $0 CONFIG CHECKPOINT GPUS [options of tools/test.py]" >&2
    exit 2
fi

CONFIG=$1
CHECKPOINT=$2
GPUS=$3
TOOLS=$(cd "$(dirname "$0")" && pwd)

if [ "${NNODES:-1}" -gt 1 ] || [ -n "${PORT:-}" ]; then
    RENDEZVOUS=(--nnodes="${NNODES:-1}" --node-rank="${NODE_RANK:-0}"
                --master-addr="${MASTER_ADDR:-127.0.0.1}"
                --master-port="${PORT:-29500}")
else
    # One machine: torchrun takes a port that is free.
    RENDEZVOUS=(--standalone --local-addr=127.0.0.1)
fi

# More threads than this in each process slow one another down.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
export PYTHONPATH="$TOOLS/..${PYTHONPATH:+:$PYTHONPATH}"
exec "${PYTHON:-python}" -m torch.distributed.run "${RENDEZVOUS[@]}" \
    --nproc-per-node="$GPUS" "$TOOLS/test.py" "$CONFIG" "$CHECKPOINT" \
    --launcher pytorch "${@:4}"
