"""A CropHarvest folder of a few points, laid out as the authors' archive."""

import json

import netCDF4
import numpy as np

CHANNELS = (
    "VV VH B2 B3 B4 B5 B6 B7 B8 B8A B9 B11 B12 temperature_2m total_precipitation elevation slope NDVI"
).split()
TYPICAL = [
    -11,
    -18,
    1648,
    1573,
    1615,
    1858,
    2601,
    2965,
    2848,
    3200,
    988,
    2388,
    1603,
    291,
    0.0029,
    623,
    4.7,
    0,
]


def array(seed):
    """(12, 18) with the stored "NDVI": (B7 - B3) / (B7 + B3)."""
    x = np.array(TYPICAL) * np.random.default_rng(seed).uniform(0.95, 1.05, (12, 18))
    x[:, 15:17] = x[0, 15:17]
    b7, b3 = x[:, CHANNELS.index("B7")], x[:, CHANNELS.index("B3")]
    x[:, 17] = (b7 - b3) / (b7 + b3)
    return x


def write_h5(path, values, name="array"):
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("t", values.shape[0])
        file.createDimension("c", values.shape[1])
        file.createVariable(name, "f8", ("t", "c"))[:] = values


def point(index, dataset, is_crop, label, **changes):
    return {
        "index": index, "dataset": dataset, "is_crop": is_crop, "classification_label": label, "label": label,
        "lat": 10.0 + index, "lon": 20.0 - index, "collection_date": "2018-06-30",
        "export_end_date": "2019-02-01", "is_test": False,
    } | changes  # fmt: skip


def write_labels(folder, points):
    features = [{"type": "Feature", "properties": each, "geometry": None} for each in points]
    (folder / "labels.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
