"""What the pretrained encoders read: their channels as our bands, and how they were normalised."""

from typing import Final

GALILEO: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "S1": ("radar", ("VV", "VH")),
    "S2_RGB": ("optical", ("B2", "B3", "B4")),
    "S2_Red_Edge": ("optical", ("B5", "B6", "B7")),
    "S2_NIR_10m": ("optical", ("B8",)),
    "S2_NIR_20m": ("optical", ("B8A",)),
    "S2_SWIR": ("optical", ("B11", "B12")),
    "NDVI": ("optical", ("NDVI",)),
    "SRTM": ("topography", ("elevation", "slope")),
    "ERA5": ("weather", ("temperature_2m", "total_precipitation")),
}
"""Of each group of channels of Galileo that we can fill, the modality and the bands in order."""

GALILEO_SCALE: Final[dict[str, tuple[float, float]]] = {
    "VV": (-21.503015938865595, 19.548583099361263),
    "VH": (-30.316122521008758, 22.921081281537173),
    "B2": (-440.0674150064983, 3670.816576148341),
    "B3": (-488.19499253784784, 3653.195369432611),
    "B4": (-842.2586089515398, 4370.71489411022),
    "B5": (-550.580418440855, 4188.882433384169),
    "B6": (90.18188471987287, 4192.040644462707),
    "B7": (237.71267968767028, 4574.761210727998),
    "B8": (212.3793632740426, 4395.916710926596),
    "B8A": (341.3399545168895, 4817.891020343572),
    "B11": (-57.043712554288504, 4583.909625231551),
    "B12": (-485.954841393848, 3920.9719360031186),
    "NDVI": (0.0, 1.0),
    "elevation": (-1293.1241777089112, 3932.278919318495),
    "slope": (-10.40472091071138, 32.66962715925299),
    "temperature_2m": (111.9509175478781, 319.23315761257714),
    "total_precipitation": (-0.14784790519146407, 0.46678188392605946),
}
"""What Galileo takes off a band and then divides it by: mean - 2 sd and 4 sd of what it was trained on.
That of precipitation is for the sum of a month in metres; see `MONTHLY_SUMS`."""

MONTHLY_SUMS: Final = ("total_precipitation",)
"""Bands that we hold as a mean a day and Galileo as the sum of a month."""

DAYS_OF_MONTH: Final = (31.0, 28.25, 31.0, 30.0, 31.0, 30.0, 31.0, 31.0, 30.0, 31.0, 30.0, 31.0)
"""Days of each month in a mean year."""

ANYSAT: Final[dict[str, tuple[str, tuple[tuple[str, ...], ...]]]] = {
    "s2": (
        "optical",
        (
            ("B2",),
            ("B3",),
            ("B4",),
            ("B5",),
            ("B6",),
            ("B7",),
            ("B8", "B8A"),
            ("B8A", "B8"),
            ("B11",),
            ("B12",),
        ),
    ),
    "s1-asc": ("radar", (("VV",), ("VH",))),
}
"""Of each sensor of AnySat that we can fill, the modality and, of every channel in order, the bands it
may come from, the best first. The two near infrared bands stand in for each other (the public tables of
WorldCereal have one of them); a channel that has none is 0, its mean."""
