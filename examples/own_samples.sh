#!/usr/bin/env bash
# Field data of one's own, from samples to hectares: the fields in the north of a patch of raw
# acquisitions train a model, those in its south judge the map; the same again without optical images.
# Usage: examples/own_samples.sh PATCHES OUT      (PATCHES: the folder `patches` of real_data.sh)
set -euo pipefail
patches=$1 out=$2
here=$(dirname "$0")
mkdir -p "$out"
declared=$(ls "$patches"/OUTPUT_POLY*.nc)
crops="1200=maize,9120=grass,*=other crop"
season=2017-11:2018-10

python "$here/declared.py" fields "$declared" CT "$crops" north "$out/fields.gpkg"
python "$here/declared.py" mask "$declared" CT "$crops" south "$out/fields.tif"
geocomiss sample --points "$out/fields.gpkg" --label crop --source "$patches" --season "$season" \
    --n-per-polygon 100 --out "$out/samples.parquet"
geocomiss check --samples "$out/samples.parquet" --out "$out/check"
geocomiss train --samples "$out/samples.parquet" --method comiss --out "$out/model"
for name in everything no_optical; do
    options=()
    [ "$name" = everything ] || options=(--without optical)
    geocomiss map --source "$patches" --season "$season" --model "$out/model" --mask "$out/fields.tif" \
        --out "$out/$name" "${options[@]}"
    geocomiss design --map "$out/$name" --n 300 --min-per-class 30 --out "$out/$name.gpkg"
    python "$here/declared.py" label "$declared" CT "$crops" south "$out/$name.gpkg"
    geocomiss assess --map "$out/$name" --reference "$out/$name.gpkg" --model "$out/model" --out "$out/${name}_assessed"
done
