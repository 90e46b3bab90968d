"""Pixels from their neighbours: lossless, and with a hard bound on the error. Read `codec`, then `strips`."""
