#!/usr/bin/env bash
# A region by Earth Engine batch tasks: the cost first, then a task a tile, then a map of what they wrote.
# Usage: examples/earth_engine.sh PROJECT BUCKET AOI YEAR MODEL OUT
set -euo pipefail
project=$1 bucket=$2 aoi=$3 year=$4 model=$5 out=$6

geocomiss export start --ee-project "$project" --aoi "$aoi" --season "$year" --model "$model" --bucket "$bucket" \
    --out "$out/export" --dry-run
geocomiss export start --ee-project "$project" --aoi "$aoi" --season "$year" --model "$model" --bucket "$bucket" \
    --out "$out/export" --max-eecu-hours 50
geocomiss export wait "$out/export"      # queues the rest, starts failed tasks again; may be interrupted and given again
geocomiss export status "$out/export"
geocomiss map --source "$out/export" --model "$model" --out "$out/map"
geocomiss view "$out/map"
