"""Is everything in place? The installation and the machine, and Earth Engine against a real export.

Nothing is imported here: `installation` must be able to say that a package is missing.
"""
