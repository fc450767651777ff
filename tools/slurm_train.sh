#!/usr/bin/env bash
# Train on a slurm cluster; see slurm_run.sh.

if [ $# -lt 3 ]; then
    echo "Usage: $0 PARTITION JOB_NAME CONFIG [options of tools/train.py]" >&2
    exit 2
fi

exec bash "$(dirname "$0")/slurm_run.sh" train.py "$@"
