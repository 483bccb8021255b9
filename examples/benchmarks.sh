#!/usr/bin/env bash
# The comparisons of examples/results/: every method and baseline on four data sets, and the ablation.
# Usage: examples/benchmarks.sh DATA OUT [GALILEO]     (hours on 2 cores; given again, it goes on where it stopped)
set -euo pipefail
data=$1/samples out=$2 galileo=${3:-}

# Canada 2017, 11 crops: five spatial folds of whole cells of about 100 km
geocomiss benchmark --samples "$data/canada2017.npz" --folds fold --group h3_l3 \
    --gaps "$data/france2023_dekad.npz" --out "$out/canada2017"
geocomiss benchmark --samples "$data/canada2017.npz" --folds fold --group h3_l3 \
    --gaps "$data/france2023_dekad.npz" --methods comiss --ablate --preset small --seeds 0 \
    --out "$out/canada2017_comiss_ablation"
geocomiss benchmark --samples "$data/canada2017.npz" --folds fold --group h3_l3 --patterns-only \
    --methods comiss+ --ablate --preset small --seeds 0 --out "$out/canada2017_comiss_plus_ablation"

# compact students beside their teachers
geocomiss benchmark --samples "$data/canada2017.npz" --folds fold --group h3_l3 \
    --gaps "$data/france2023_dekad.npz" --methods comiss,comiss-compact,comiss+,comiss+-compact \
    --out "$out/canada2017_compact"

# Galileo nano, where its weights are there: beside others with few epochs, and with few labels
if [ -n "$galileo" ]; then
    methods=galileo-probe,galileo,comiss+,comiss,fullco,unimodal,random-forest
    geocomiss benchmark --samples "$data/canada2017.npz" --folds fold --group h3_l3 \
        --gaps "$data/france2023_dekad.npz" --methods "$methods" --weights "galileo=$galileo" --epochs 15 \
        --seeds 0 --out "$out/canada2017_pretrained"
    for labels in 10 30 100; do
        geocomiss benchmark --samples "$data/canada2017.npz" --folds fold --group h3_l3 --patterns-only \
            --methods "$methods" --weights "galileo=$galileo" --labels-per-class "$labels" --seeds 0 \
            --out "$out/canada2017_few_$labels"
    done
fi

# cropland in Afghanistan, Iran and Sudan: no weather and no terrain in the whole table
geocomiss benchmark --samples "$data/itu_cropland.npz" --label y --folds region --preset small \
    --out "$out/itu_cropland"

# live fuel moisture, a regression: whole sites are held out
geocomiss benchmark --samples "$data/fuel_moisture.npz" --target y --group site --preset small \
    --out "$out/fuel_moisture"

# 500 points all over the world, land cover
geocomiss benchmark --samples "$data/worldcereal_global.npz" --label landcover --preset small \
    --out "$out/worldcereal_global"
