"""Bands that are kept bit for bit: alpha, masks and whatever else is no measurement."""
