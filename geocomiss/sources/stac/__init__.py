"""STAC catalogues: Sentinel-2, Sentinel-1 and terrain by HTTP, without any account.

A catalogue is a row of `CATALOGUES`, a product that can be read a row of `PRODUCTS`. Acquisitions are
searched once per area and season (`search`) or come from a saved search (`saved`), are made into scenes
(`scenes`), and read block by block (`blocks`, `reading`) into the shared compositing.
"""
