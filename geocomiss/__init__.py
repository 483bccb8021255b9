"""geocomiss: crop-type maps from whatever satellites saw, without QGIS.

The rooms, bottom to top: `errors`, `modalities`, `seasons` / `aoi` / `grid`, `recipes`, `stack`,
`composite`, `simulation`, `batch`, `nets`, `methods` / `samples` / `sources` / `maps`, `inference`,
`checkpoint`, and the workflows `mapping` / `training` / `evaluation`. Imports go down only.
"""

__version__ = "0.1.0"
