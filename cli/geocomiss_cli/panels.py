"""Headings under which `--help` groups options that several commands share."""

from typing import Final

INPUT: Final = "Input"
GRID: Final = "Area, time and grid"
MODEL: Final = "Model"
METHOD: Final = "Method"
CONTENDERS: Final = "Who is compared"
FOLDS: Final = "Folds and seeds"
AVAILABILITY: Final = "What is missing"
LOOKS: Final = "How it looks"
SIZE: Final = "Number of points"
CLUSTERS: Final = "Points in clusters"
COST: Final = "Cost"
SERVER: Final = "Server"
WRITTEN: Final = "What is written"
RUN: Final = "Run"
