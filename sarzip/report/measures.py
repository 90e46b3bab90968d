"""The measures of a comparison by name, and what they say, for tables that people read."""

from __future__ import annotations

MEASURES = (
    ("RMSE [dB]", "rmse_db", "root mean square of decoded − original over all valid pixels"),
    ("largest error [dB]", "max_error_db", "greatest magnitude over all valid pixels"),
    ("mean error [dB]", "mean_error_db", "mean of decoded − original in dB"),
    ("PSNR of amplitude [dB]", "psnr_amp", "peak: 99.9th percentile of the original's amplitude"),
    ("bias of cells, mean [dB]", "bias_mean_db", "mean power of 32×32 cells, decoded over original"),
    ("bias of cells, median magnitude [dB]", "bias_median_db", "half of the cells are closer"),
    ("bias of cells, 95th percentile [dB]", "bias_p95_db", "95 % of the cells are closer"),
    ("ENL, original", "enl_reference", "mean² / variance of power, 10 % most homogeneous cells"),
    ("ENL, decoded", "enl_decoded", "the same cells"),
    ("ENL ratio", "enl_ratio", "1: speckle is kept; above 1: it was smoothed"),
    ("ratio image, mean", "ratio_mean", "of original over decoded power; 1 without bias"),
    ("ratio image, variance", "ratio_variance", "0: nothing was removed; 1 / looks: all speckle was"),
    ("edge preservation (EPI)", "epi", "correlation of the Laplacians in dB; 1 is best"),
    ("SSIM of dB", "ssim_db", "structural similarity, 8×8 windows, 50 dB range; 1 is best"),
    ("point targets", "point_count", "isolated maxima, 10 dB above their surroundings"),
    ("point targets, peak error [dB]", "point_error_db", "mean magnitude, decoded over original"),
    ("point targets, peak bias [dB]", "point_bias_db", "the same with its sign"),
)
"""Of `Quality`: label with unit, field, meaning."""

UNIT_MEASURES = (
    ("largest error [stored unit]", "max_abs", "greatest magnitude over all valid pixels"),
    ("RMSE [stored unit]", "rmse", "root mean square over all valid pixels"),
    ("mean error [stored unit]", "bias", "mean of decoded − original"),
    ("correlation", "correlation", "Pearson's, of decoded with original"),
    ("share of changed values", "changed", "of all valid pixels"),
    ("share of changed signs", "sign_flips", "of all valid pixels"),
)
"""Of `UnitErrors`, likewise."""

METHODS = (
    (
        "Decibels",
        "20·log10 of amplitude, 10·log10 of power. Integers below one are clamped at half a number, floating "
        "point values at the smallest positive one of the original, in both images alike.",
    ),
    ("Errors", "Decoded − original, over pixels that are valid in both images."),
    (
        "Ratio image",
        "Original over decoded power, in dB: 0 dB is mid-gray, brighter where the decoded image is darker. "
        "What can be seen in it was lost: a good codec leaves noise without structure.",
    ),
    (
        "Cells",
        "Windows of 32×32 pixels on a grid from the upper left corner, of which at least half is valid. "
        "Their bias is mean power, decoded over original, in dB. Classes of backscatter are of cells: pixels "
        "chosen by their own speckled value would show regression to the mean as bias.",
    ),
    (
        "Autocorrelation",
        "Of the ratio image in dB about its mean, from at most 1024 tiles of 32×256 pixels spread over the "
        "scene; of the original about the mean of each tile, which shows how far its speckle is correlated. "
        "Correlation of the ratio image beyond that is structure lost.",
    ),
    (
        "Impulse response",
        "Of isolated targets at least 20 dB above their surroundings: power of 32×32 pixels oversampled 16 "
        "times by zero padding of its spectrum, cut along the row and the column of the peak. Resolution: "
        "width at half the power. Main lobe: between the first minima below that on either side. PSLR: "
        "greatest side lobe over the peak; ISLR: power of the side lobes over that of the main lobe, both up "
        "to ten resolutions away (Freeman 1992; Cumming and Wong 2005). Clutter is not taken off: what "
        "counts is the change. Exact where the image is sampled at twice its bandwidth, as power needs; "
        "aliased below.",
    ),
)
"""Terms and definitions."""
