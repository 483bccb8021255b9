"""A simulated world: fields, crops, weather, terrain, clouds and what satellites see of them.

Everything is a pure function of (seed, place, date). Random numbers are hashes of integer
coordinates, never draws from a generator whose state depends on an array's extent, so any window
equals the same window of a larger area, bit for bit, on any grid (see `places`).
"""

from geocomiss.simulation.crops import CLASSES, CropClass
from geocomiss.simulation.world import World

__all__ = ["CLASSES", "CropClass", "World"]
