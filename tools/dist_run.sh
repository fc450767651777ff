#!/usr/bin/env bash
# Run a tool in several processes: one for each GPU, or on the CPU without GPUs.
# On several machines, set NNODES, NODE_RANK, MASTER_ADDR and PORT on each.
# Usage: dist_run.sh TOOL GPUS ARGUMENTS

set -euo pipefail

TOOLS=$(cd "$(dirname "$0")" && pwd)

if [ "${NNODES:-1}" -gt 1 ] || [ -n "${PORT:-}" ]; then
    RENDEZVOUS=(--nnodes="${NNODES:-1}" --node-rank="${NODE_RANK:-0}"
                --master-addr="${MASTER_ADDR:-127.0.0.1}"
                --master-port="${PORT:-29500}")
else
    # On one machine, torchrun chooses a free port.
    RENDEZVOUS=(--standalone --local-addr=127.0.0.1)
fi

# More threads in each process would slow the others down.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
export PYTHONPATH="$TOOLS/..${PYTHONPATH:+:$PYTHONPATH}"
# torchrun alone ends with the status 1 after SIGTERM, and not with 143.
TORCHRUN='
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.run import main
try:
    main()
except SignalException as error:
    raise SystemExit(128 + error.sigval)'
exec "${PYTHON:-python}" -c "$TORCHRUN" "${RENDEZVOUS[@]}" \
    --nproc-per-node="$2" "$TOOLS/$1" --launcher pytorch "${@:3}"
