#!/usr/bin/env bash
# Train in several processes; see dist_run.sh.

if [ $# -lt 2 ]; then
    echo "Usage: $0 CONFIG GPUS [options of tools/train.py]" >&2
    exit 2
fi

exec bash "$(dirname "$0")/dist_run.sh" train.py "$2" "$1" "${@:3}"
