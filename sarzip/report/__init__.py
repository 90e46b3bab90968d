"""What was measured, as results a program reads and as pages a person reads.

`comparison` holds what `compare` finds and its verdict; `gather` collects, strip by strip, what a page shows
of a band; `compare_page` composes that page, `page` and `assets` are what all pages share.
"""

from __future__ import annotations

from sarzip.report.comparison import BandComparison, Comparison, Promise

__all__ = ["BandComparison", "Comparison", "Promise"]
