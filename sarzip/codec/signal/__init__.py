"""From stored values to what a codec sees: decibels (`radiometry`), integer rounding, power of cells."""
