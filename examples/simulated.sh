#!/usr/bin/env bash
# Map the simulated world, then the same area as if a satellite had failed, and draw both.
# Usage: examples/simulated.sh OUT
set -euo pipefail
out=$1
here=$(dirname "$0")

geocomiss map --aoi "$here/aoi.geojson" --season 2021 --source simulated --out "$out/map"
python "$here/picture.py" "$out/map" "$out/map.png"

geocomiss map --aoi "$here/aoi.geojson" --season 2021 --source simulated --without optical --out "$out/no_optical"
python "$here/picture.py" "$out/no_optical" "$out/no_optical.png"

# the same stack on disk, to map it again without simulating it again
geocomiss fetch --aoi "$here/aoi.geojson" --season 2021 --source simulated --out "$out/stack.zarr"
geocomiss info "$out/stack.zarr"
geocomiss map --aoi "$here/aoi.geojson" --source "$out/stack.zarr" --model simulated --out "$out/from_disk"
