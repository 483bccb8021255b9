#!/usr/bin/env bash
# One map by several processes: on this machine, or on any Dask cluster that sees the output folder.
# Usage: examples/scale_out.sh STACK MODEL OUT [SCHEDULER]      (SCHEDULER: tcp://host:8786)
set -euo pipefail
stack=$1 model=$2 out=$3 scheduler=${4:-}

if [ -n "$scheduler" ]; then
    geocomiss map --source "$stack" --model "$model" --out "$out" --scheduler "$scheduler"
else
    geocomiss map --source "$stack" --model "$model" --out "$out" --workers 2
fi
geocomiss status "$out"      # from another terminal it shows tiles done, running, failed, and the time left
