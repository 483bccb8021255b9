"""Earth Engine: composites computed by Google, tile by tile, into the same stacks as every other source.

What exists is listed once per area and season (`listing`, `passes`); the compositing of a time step is an
expression (`graph`); `tiler` asks for its pixels within the limits, by way of `client`, and keeps them.
Collection ids, band names and limits stand in `tables`.
"""
