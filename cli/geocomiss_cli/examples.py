"""An example of each command, which its `--help` ends with; a test parses every one."""

from typing import Final

EXAMPLES: Final = {
    "map": "geocomiss map --source simulated --aoi examples/aoi.geojson --season 2021 --out map/",
    "status": "geocomiss status map/",
    "view": "geocomiss view map/ --title 'Fields of 2021'",
    "serve": "geocomiss serve map/ --port 8080",
    "fields": "geocomiss fields --map map/ --parcels fields.gpkg --out crops.gpkg",
    "fetch": "geocomiss fetch --source earth-search --aoi 5.30,50.60,5.31,50.61 --season 2021 "
    "--max-cloud 60 --out stack.zarr",
    "plan": "geocomiss plan --aoi 5.30,50.60,5.31,50.61 --season 2021 --ee-project my-project",
    "search": "geocomiss search --source earth-search --aoi 5.30,50.60,5.31,50.61 --season 2021 "
    "--save items.json",
    "sample": "geocomiss sample --points fields.gpkg --label crop --season 2021 --source planetary-computer "
    "--out samples.parquet",
    "check": "geocomiss check --samples samples.parquet --label crop --out check/",
    "train": "geocomiss train --samples samples.parquet --label crop --method comiss+ --out model/",
    "evaluate": "geocomiss evaluate --model model/ --samples others.parquet --label crop --json scores.json",
    "benchmark": "geocomiss benchmark --samples samples.parquet --label crop --methods comiss+,fullco "
    "--seeds 0,1,2 --out comparison/",
    "design": "geocomiss design --map map/ --target-se 0.02 --out points.gpkg",
    "assess": "geocomiss assess --map map/ --reference points.gpkg --out report/",
    "info": "geocomiss info stack.zarr",
    "doctor": "geocomiss doctor --folder map/",
    "export start": "geocomiss export start --aoi region.gpkg --season 2021 --bucket my-bucket "
    "--ee-project my-project --out region/",
    "export status": "geocomiss export status region/ --all",
    "export wait": "geocomiss export wait region/ --interval 60",
    "export cancel": "geocomiss export cancel region/",
    "export collect": "geocomiss export collect region/ --out stack.zarr",
    "data cropharvest": "geocomiss data cropharvest --root cropharvest/",
}
"""By the words of the command."""


def example(command: str) -> str:
    """What ends the help of a command, as typer wants it: markup escaped, a line a paragraph."""
    return f"Example:\n\n{EXAMPLES[command].replace('[', chr(92) + '[')}"
