#!/usr/bin/env bash
# Train on real samples and map real acquisitions. Needs the data sets named below in the folder DATA.
# Usage: examples/real_data.sh DATA OUT [SEED]
set -euo pipefail
data=$1 out=$2 seed=${3:-0}
here=$(dirname "$0")
crops="1200=maize,9120=grass,*=other crop"
declared=$(ls "$data"/patches/OUTPUT_POLY*.nc)

# Flanders: 500 samples of 37 other places; every Sentinel-2 date with its clouds, every Sentinel-1 date
geocomiss train --samples "$data/samples/flanders2018.npz" --label croptype --group location_id --method comiss \
    --legend "$here/legends/flanders_maize_grass_other.csv" --seed "$seed" --out "$out/flanders_model"
map_flanders() {  # name, options
    local name=$1
    shift
    geocomiss map --source "$data/patches" --season 2017-11:2018-10 --model "$out/flanders_model" --out "$out/$name" "$@"
    python "$here/compare.py" "$out/$name" "$declared" CT "$crops" | tee "$out/$name/compared.txt"
}
map_flanders flanders
map_flanders flanders_no_optical --without optical
map_flanders flanders_no_radar --without radar
map_flanders flanders_no_climate --without weather --without topography

# Hesbaye, 2021: January without any clear optical observation; a model of another continent
geocomiss train --samples "$data/samples/canada2017.npz" --label label --group h3_l3 --fold fold=0 --method comiss \
    --seed "$seed" --out "$out/canada_model"
geocomiss evaluate --model "$out/canada_model" --samples "$data/samples/canada2017.npz" --label label --fold fold=0
geocomiss map --source "$data/aoi/hesbaye_2020-08_2022-03.nc" --season 2021 --model "$out/canada_model" \
    --out "$out/hesbaye"

# Earth Engine exports in CropHarvest's format, on their own grids, by a model of the simulated world
geocomiss train --samples simulated --n 3000 --sim-seed 1 --recipe cropharvest --method comiss --preset small \
    --seed "$seed" --out "$out/simulated_model"
for export in 98-togo_2019-02-06_2020-02-01 373-croplands_2016-02-07_2017-02-01; do
    geocomiss map --source "$data/aoi/$export.tif" --model "$out/simulated_model" \
        --simulated-model-on-real-data --out "$out/$export"
done
