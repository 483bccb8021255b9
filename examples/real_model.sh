#!/usr/bin/env bash
# The way to a real model, with data that anyone may download: CropHarvest, labels from all over the world with Sentinel-1,
# Sentinel-2, ERA5 and SRTM as Earth Engine gives them. Train, judge by region, map one's own fields through Earth Engine.
# Needs a network (1 GB) and a Cloud project registered for Earth Engine (`earthengine authenticate` first).
# Usage: examples/real_model.sh PROJECT AOI YEAR OUT        (AOI: a vector file; hours on 2 cores, minutes on a GPU)
set -euo pipefail
project=$1 aoi=$2 year=$3 out=$4
mkdir -p "$out"
geocomiss doctor

# given again, a download goes on where it stopped
geocomiss data cropharvest --root "$out/cropharvest"
geocomiss info "$out/cropharvest"

# crop or not, everywhere; how good that is where a whole data set, mostly a country, was never seen
geocomiss benchmark --samples "$out/cropharvest" --label is_crop --folds dataset --methods comiss+,random-forest \
    --preset small --seeds 0 --patterns-only --out "$out/by_region"
geocomiss train --samples "$out/cropharvest" --label is_crop --out "$out/model"
geocomiss info "$out/model"

# does Earth Engine make today what the model was trained on? Any export of CropHarvest's archive will do as EXPORT
#   geocomiss doctor --ee-live --against EXPORT.tif --ee-project PROJECT

# what will it take, then the map, then a random sample to judge it by
geocomiss plan --aoi "$aoi" --season "$year" --model "$out/model" --ee-project "$project"
geocomiss map --source ee --ee-project "$project" --aoi "$aoi" --season "$year" --model "$out/model" \
    --out "$out/map" --applicability
geocomiss view "$out/map"
geocomiss design --map "$out/map" --n 300 --min-per-class 50 --out "$out/validation.gpkg"
echo "Fill in the column label of $out/validation.gpkg, then: geocomiss assess --map $out/map --reference $out/validation.gpkg"
