#!/usr/bin/env bash
# Without any account: see what a catalogue holds, keep the search, fetch once, map often.
# Usage: examples/catalogue.sh AOI SEASON WEATHER MODEL OUT     (WEATHER: ERA5 or ERA5-Land from the Climate Data Store)
set -euo pipefail
aoi=$1 season=$2 weather=$3 model=$4 out=$5
mkdir -p "$out"

geocomiss search --source planetary-computer --aoi "$aoi" --season "$season" --save "$out/items.json"
geocomiss fetch --source "$out/items.json" --weather "$weather" --aoi "$aoi" --season "$season" --max-cloud 80 \
    --out "$out/stack.zarr"
geocomiss info "$out/stack.zarr"
# catalogues hold gamma0 radar; a model of sigma0 maps on without it
geocomiss map --source "$out/stack.zarr" --model "$model" --on-mismatch drop --out "$out/map"
geocomiss view "$out/map"
