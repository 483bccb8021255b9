"""`geocomiss fields`: the crop of each parcel."""

from pathlib import Path
from typing import Annotated

import typer

from geocomiss_cli import options as given
from geocomiss_cli import panels
from geocomiss_cli.terminal import progress_bar, say_notes, screen

Map = Annotated[
    Path,
    typer.Option(
        "--map",
        metavar="MAP",
        help="Folder of a finished map, or a GeoTIFF of classes, also of others.",
        show_default=False,
        rich_help_panel=panels.INPUT,
    ),
]
Parcels = Annotated[
    Path,
    typer.Option(
        metavar="FILE",
        help="Polygons of fields: any vector file, any CRS.",
        show_default=False,
        rich_help_panel=panels.INPUT,
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        metavar="FILE",
        help="File to write: .gpkg, .geojson or .csv.",
        show_default=False,
        rich_help_panel=panels.WRITTEN,
    ),
]


def fields(map_folder: Map, parcels: Parcels, out: Out, overwrite: given.Overwrite = False) -> None:
    """Write the crop of each parcel: its most frequent class, and the share of each class (0 to 1).

    Pixels on an edge count with the share of them that lies inside.
    """
    from rich.table import Table

    from geocomiss.zonal import FieldsRequest, write_fields

    with progress_bar("parcels", "parcels") as tell:
        report = write_fields(FieldsRequest(map_folder, parcels, out, overwrite), tell)
    table = Table(title="parcels by their most frequent class", title_justify="left")
    table.add_column("class")
    table.add_column("parcels", justify="right")
    table.add_column("hectares of parcels", justify="right")
    for crop, number, hectares in report.by_crop:
        table.add_row(crop, f"{number:,}", f"{hectares:,.2f}")
    screen().print(table)
    say_notes(list(report.notes), [])
    screen().print(f"{report.parcels:,} parcels, {report.outside:,} without a mapped pixel")
    screen().print(f"wrote {report.path}", markup=False)
