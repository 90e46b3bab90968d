"""The streams beside the latents, FORMAT.md 9: class maps, bias corrections, outliers.

`payloads` frames them.
"""
