"""Compositing as expressions that Earth Engine evaluates: one module a modality.

Each is the rule of `geocomiss.composite`, in the words of Earth Engine; `wire` turns values into whole
numbers and back.
"""
