#!/usr/bin/env bash
# Field data of one's own, from samples to hectares: nine fields in the north of a patch of raw acquisitions
# are sampled, those in its south judge the maps, with optical images and without. Three models: `base`, of
# 37 other places; `own`, of the nine fields alone; `tuned`, the first fine-tuned on the nine fields.
# Usage: examples/own_samples.sh DATA OUT      (DATA as in real_data.sh)
set -euo pipefail
data=$1 out=$2
here=$(dirname "$0")
patches=$data/patches
mkdir -p "$out"
declared=$(ls "$patches"/OUTPUT_POLY*.nc)
crops="1200=maize,9120=grass,*=other crop"
season=2017-11:2018-10

python "$here/declared.py" fields "$declared" CT "$crops" north "$out/fields.gpkg"
python "$here/declared.py" mask "$declared" CT "$crops" south "$out/fields.tif"
geocomiss sample --points "$out/fields.gpkg" --label crop --source "$patches" --season "$season" \
    --n-per-polygon 100 --out "$out/samples.parquet"
geocomiss check --samples "$out/samples.parquet" --out "$out/check"
geocomiss train --samples "$data/samples/flanders2018.npz" --label croptype --group location_id --method comiss \
    --legend "$here/legends/flanders_maize_grass_other.csv" --out "$out/base"
geocomiss train --samples "$out/samples.parquet" --method comiss --out "$out/own"
geocomiss train --samples "$out/samples.parquet" --from "$out/base" --out "$out/tuned"
for model in base own tuned; do
    for name in everything no_optical; do
        options=()
        [ "$name" = everything ] || options=(--without optical)
        map=$out/${model}_$name
        geocomiss map --source "$patches" --season "$season" --model "$out/$model" --mask "$out/fields.tif" \
            --out "$map" "${options[@]}"
        geocomiss design --map "$map" --n 300 --min-per-class 30 --out "$map.gpkg"
        python "$here/declared.py" label "$declared" CT "$crops" south "$map.gpkg"
        geocomiss assess --map "$map" --reference "$map.gpkg" --model "$out/$model" --out "${map}_assessed"
    done
done
