"""Integers to bits.

Read `rans` (static tables, for latents), `binary` (adaptive, for small streams), then `trellis`.
"""
