"""Exports of Earth Engine: GeoTIFFs of tiles, and a manifest that says what they hold.

`manifest` states what was asked for, `files` finds the GeoTIFFs and holds them to it, `source` makes stacks
of them. The tasks themselves are the business of `geocomiss.exporting`.
"""
