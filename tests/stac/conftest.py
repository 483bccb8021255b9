"""Catalogues that the tests read, written once."""

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from stac_data import add_item, add_simulated, power
from stac_server import StacServer, serving

from geocomiss.sources import files

BANDS = ("B2", "B4", "B8", "B11")
"""Bands of the simulated catalogue."""
EVERY = 3
"""Each third real acquisition is served: enough for every month, and quickly written."""
LEFT_OUT = ("B03", "B06", "B07", "B8A", "B12")
"""Bands that are not served, for the same reason."""
GRID = GeoBox((80, 72), Affine(10, 0, 640_000, 0, -10, 5_610_000), "EPSG:32631")
"""The area that tests map in the simulated world."""


@pytest.fixture(scope="session")
def thinned(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real acquisitions of ../shared/data/patches, each third of them, as a folder."""
    folder = tmp_path_factory.mktemp("thinned")
    for path in (shared / "data" / "patches").glob("*.nc"):
        with xr.open_dataset(path, mask_and_scale=False, decode_times=False) as data:
            imaging = path.name.startswith("S")
            data = data.isel(timestamp=slice(None, None, EVERY)) if imaging else data
            data = data.drop_vars([name for name in LEFT_OUT if name in data])
            for variable in data.variables.values():
                variable.attrs.pop("bounds", None)  # here a box; xarray takes it for a CF attribute
            data.load().to_netcdf(folder / path.name)
    return folder


@pytest.fixture(scope="session")
def real(thinned: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StacServer]:
    """The same acquisitions as a catalogue like Planetary Computer's, at their true grid."""
    fine, coarse, radar = (
        next(thinned.glob(f"{name}_*.nc")) for name in ("S2_L2A_10m", "S2_L2A_20m", "S1_GRD*")
    )
    with serving(tmp_path_factory.mktemp("real"), page=50) as server:
        bands = {
            ("scl" if name == "SCL" else name[0] + name[1:].removeprefix("0")): (
                files.raw_variable(path, str(name)).values,
                files.netcdf_grid(path),
            )
            for path in (fine, coarse)
            for name, variable in files.open_netcdf(path).data_vars.items()
            if variable.ndim == 3
        }
        for number, when in enumerate(files.open_netcdf(fine)["timestamp"].values):
            images = {band: (values[number], grid) for band, (values, grid) in bands.items()}
            told = {"platform": "Sentinel-2A", "s2:processing_baseline": "02.06", "s2:mgrs_tile": "31UES"}
            add_item(server, "s2", f"S2-{number:03d}", _moment(when), images, told, block=128)
        waves = {name: files.lazy_variable(radar, name).values for name in ("VV", "VH")}
        grid = files.netcdf_grid(radar)
        for number, when in enumerate(files.open_netcdf(radar)["timestamp"].values):
            images = {name: (power(values[number]), grid) for name, values in waves.items()}
            orbit = int((_moment(when) - datetime(2014, 1, 1)).total_seconds() / 5924)
            told = {"platform": "SENTINEL-1A", "sat:orbit_state": "ascending", "sat:absolute_orbit": orbit}
            add_item(server, "s1-rtc", f"S1-{number:03d}", _moment(when), images, told, block=128)
        yield server


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StacServer]:
    """Three months of the simulated world around `GRID` as a catalogue."""
    with serving(tmp_path_factory.mktemp("simulated")) as server:
        add_simulated(server, GRID.pad(8), date(2021, 4, 1), date(2021, 6, 30), only=BANDS)
        yield server


@pytest.fixture
def world(simulated: StacServer) -> Iterator[StacServer]:
    """The simulated catalogue; whatever a test changes is put back."""
    items = simulated.items()
    simulated.renew()
    simulated.forget()
    yield simulated
    simulated.tell(only=items, forget=True)
    simulated.fail()


def _moment(when: np.datetime64) -> datetime:
    moment: datetime = when.astype("datetime64[s]").item()
    return moment
