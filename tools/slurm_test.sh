#!/usr/bin/env bash
# Test on a slurm cluster; see slurm_run.sh.

if [ $# -lt 4 ]; then
    echo "Usage: $0 PARTITION JOB_NAME CONFIG CHECKPOINT [options of tools/test.py]" >&2
    exit 2
fi

exec bash "$(dirname "$0")/slurm_run.sh" test.py "$@"
