"""Doors to other libraries, each found through an entry point: xarray, zarr, GDAL's virtual rasters.

Nothing here is imported by the rest of sarzip. Read `chunks` for how an array becomes a chunk, and
`xarray_backend` for how a file becomes a dataset.
"""
