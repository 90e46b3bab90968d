"""Arrays of one group to bytes and back. No files, no rasterio; torch only in `torch_*` and `ae16`.

`base` is the contract, `registry` finds a codec by its id.
"""
