"""From samples to colours: area averages, stretches, composites of bands, colour maps.

Arrays only, no files and no GDAL. Read `draw` first.
"""
