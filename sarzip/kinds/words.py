"""Words that name kinds of bands: phrases of whole tokens, never substrings."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sarzip.kinds.evidence import Claim
from sarzip.kinds.kind import Kind

_K = Kind
# Phrases by kind. Of overlapping matches the longest counts; of the others the kind that stands first here:
# a 'Sigma0_VV_mask' is a mask. Backscatter is last, so that any qualifier takes a band out of it.
_PHRASES: dict[Kind, str] = {
    _K.CLASS: (
        "mask|data mask|water mask|shadow mask|no data mask|valid|validity|flag|flags|qa|quality flag|"
        "class|classes|classification|label|labels|segmentation|land cover|landcover|lulc|cluster|category|"
        "ls map|lsm|layover|shadow|layover shadow|layover shadow mask|layover shadow map|water map|flood map|"
        "conncomp|conn comp|connected components|connected component labels|component|components|alpha|fnf|"
        "bit mask|bitmask|change map|wm|persistent scatterer mask|ps mask|rfi|subswath|burst id|"
        "orbit direction"
    ),
    _K.DATE: (
        "date|dates|doy|day of year|epoch|yyyymmdd|time stamp|timestamp|acquisition time|julian day|year"
    ),
    _K.COUNT: (
        "count|counts|shp counts|number of looks|looks|num looks|nlooks|enl|number of observations|nobs|"
        "number of images|num ifg|num invifg|num inv ifg|num tri nonzero int ambiguity|overlap count|samples"
    ),
    _K.AUXILIARY: (
        "nesz|noise equivalent|noise floor|noise lut|noise power|noise level|area|scattering area|anf|"
        "rtc anf|"
        "area normalization factor|normalization factor|gamma to sigma factor|rtc gamma to sigma factor|"
        "calibration factor|calibration lut|weight|weights|std|std dev|"
        "stddev|stdev|sd|standard deviation|variance|"
        "var|cv|coefficient of variation|dispersion|amplitude dispersion|amp dispersion|uncertainty|error|"
        "velocity std|residual|residuals|timeseries inversion residuals|glcm|texture|homogeneity|entropy|"
        "anisotropy|alpha angle|phase similarity|phase quality|estimated phase quality|"
        "similarity|index|rvi|rfdi|dprvi|nrpb|ndpi|probability|confidence|bperp|baseline|"
        "perpendicular baseline|parallel baseline|height of ambiguity|kz|vertical wavenumber|temperature|"
        "wind speed|simulated image|rmse|decomposition|pauli|freeman|yamaguchi|antenna pattern|los east|"
        "los north|los up|slope|aspect"
    ),
    _K.COHERENCE: (
        "coherence|coh|temporal coherence|coherence magnitude|correlation|corr|cor|avg spatial coh|"
        "spatial coherence|interferometric coherence|interferometric correlation|cohe"
    ),
    _K.PHASE: (
        "phase|pha|unw|unwrapped|unwrapped phase|unw phase|wrapped phase|wrapped|ifg phase|phase ifg|"
        "interferometric phase|wrapped interferogram|topo phase|fep|tgp|flat earth phase|cross phase|"
        "ionosphere phase screen"
    ),
    _K.ANGLE: (
        "angle|angles|incidence|incidence angle|local incidence angle|incidence angle map|inc map|"
        "inc map ell|"
        "inc|linci|lia|theta|lv theta|lv phi|look vector|azimuth angle|look angle|elevation angle|heading|"
        "slope angle|incidence angle from ellipsoid|projected local incidence angle|inc angle|inc local|"
        "los azimuth|squint|orientation angle|polarisation orientation|local inc angle|"
        "ellipsoid incidence angle"
    ),
    _K.ELEVATION: "dem|dsm|dtm|elevation|height|hgt|altitude|dem error|dem err|topography|geoid|bathymetry",
    _K.SIGNED: (
        "displacement|los displacement|los disp|vert disp|disp|deformation|velocity|los velocity|"
        "short wavelength displacement|timeseries|time series|ratio|log ratio|logratio|difference|diff|delta|"
        "change|covariance|cov|range offset|azimuth offset|offset|offsets|subsidence|uplift|residual "
        "motion|doppler|doppler centroid|radial velocity|gradient|anomaly|trend|zscore|z score"
    ),
    _K.COORDINATE: (
        "latitude|longitude|lat|lon|easting|northing|x coordinate|y coordinate|range index|azimuth index|"
        "slant range|slant range distance|slant range time|two way travel time|azimuth time"
    ),
    _K.COMPLEX_PART: "real|imag|imaginary|in phase|quadrature|real part|imaginary part",
    _K.PICTURE: "rgb|red|green|blue|composite|false color|false colour|browse|quicklook|ql|thumbnail|preview",
}
_AMPLITUDE = "amplitude|amp|magnitude|mag|mod|abs|dn|digital number|digital numbers|grd|grdh|grdm|grdf"
_POWER = "intensity|power|pwr|linear power|linear intensity|span|total power|linear"
_COEFFICIENT = (
    "sigma0|gamma0|beta0|sigma 0|gamma 0|beta 0|sigma nought|gamma nought|beta nought|sigma naught|"
    "gamma naught|beta naught|sigmanought|gammanought|betanought|sig0|gam0|nrcs|s0|g0|sigma zero|gamma zero"
)
_ECHO = "vv|vh|hh|hv|rh|rv|lh|lv|rr|ll|rl|lr|backscatter|backscattering|rtc|sar|gec|slc"
_DECIBEL = "db|decibel|decibels"
_POLARISED = re.compile(r"([hv][hv])([hv][hv])")
_MATRIX = re.compile(r"[ct]([1-4])([1-4])")
_SCATTERING = re.compile(r"s[12][12]")
_BETWEEN = re.compile(
    r"(?<![a-z0-9])([vhrl][vhrl])\s*(?:/|÷|−|-|\bover\b|\bminus\b)\s*([vhrl][vhrl])(?![a-z0-9])"
)
_PARTS = re.compile(r"real|imag|imaginary|re|im")


def _table() -> dict[tuple[str, ...], tuple[int, Kind, str]]:
    table: dict[tuple[str, ...], tuple[int, Kind, str]] = {}
    rows = [(kind, "", text) for kind, text in _PHRASES.items()]
    for domain, text in (
        ("db", _DECIBEL),
        ("amplitude", _AMPLITUDE),
        ("power", _POWER),
        ("sigma", _COEFFICIENT),
        ("", _ECHO),
    ):
        rows.append((_K.BACKSCATTER, domain, text))
    for rank, (kind, domain, text) in enumerate(rows):
        for phrase in text.split("|"):
            table.setdefault(tuple(phrase.split()), (rank, kind, domain))
    return table


_TABLE = _table()
_LONGEST = max(map(len, _TABLE))


@dataclass(frozen=True)
class Words:
    """What a text says. other: a kind that is not backscatter, or None. echo: it names backscatter.

    domain: 'amplitude', 'power', 'db' or None; calibrated coefficients (sigma0) usually are power.
    other_text, echo_text: the words.
    """

    other: Kind | None = None
    other_text: str = ""
    echo: bool = False
    echo_text: str = ""
    domain: str | None = None

    def claim(self, source: str) -> Claim | None:
        """The claim of these words: a kind other than backscatter before backscatter."""
        if self.other is not None:
            radians = self.other is Kind.ANGLE and self.other_text.startswith("lv ")
            return Claim(self.other, source, self.other_text, radians=radians)
        return Claim(Kind.BACKSCATTER, source, self.echo_text, self.domain) if self.echo else None


def tokens(text: str) -> list[str]:
    """Lower-case words: split at anything but letters and digits, and inside camelCase; 'dB' is one word."""
    text = re.sub(r"(?<![A-Za-z])[dD][bB](?![A-Za-z0-9])|dB(?![A-Za-z0-9])", " db ", text)
    text = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])|(?<=[a-z]{2}[0-9])(?=[A-Z][a-zA-Z])", " ", text)
    text = re.sub(r"(?<=[a-z]{3})(?=[A-Z]{2,}(?![A-Za-z]))", " ", text)
    return re.findall(r"[a-z0-9]+", text.lower())


def read_words(text: str, matrices: bool = True) -> Words:
    """What a description, or another text about one band, says. matrices: C12, T11, HHHV mean elements."""
    found = tokens(text)
    special = _matrix(found) if matrices else None
    ratio = _BETWEEN.search(text.lower()) if matrices else None
    if special is not None:
        return special
    if ratio is not None:
        return Words(Kind.SIGNED, ratio.group(0))
    matches = _matches(found)
    others = [match for match in matches if match[1] is not Kind.BACKSCATTER]
    echoes = [match for match in matches if match[1] is Kind.BACKSCATTER]
    domains = [match for match in echoes if match[2]]
    best = min(domains, default=None)
    other = min(others, default=None)
    echo = best or min(echoes, default=None)
    return Words(
        other=other[1] if other else None,
        other_text=other[3] if other else "",
        echo=echo is not None,
        echo_text=echo[3] if echo else "",
        domain=("power" if best[2] == "sigma" else best[2]) if best else None,
    )


def _matches(found: list[str]) -> list[tuple[int, Kind, str, str]]:
    """(rank, kind, domain, phrase) of the longest phrases, from left to right, none within another."""
    matches, at = [], 0
    while at < len(found):
        for length in range(min(_LONGEST, len(found) - at), 0, -1):
            phrase = tuple(found[at : at + length])
            if phrase in _TABLE:
                matches.append((*_TABLE[phrase], " ".join(phrase)))
                break
        else:
            length = 1
        at += length
    return matches


def _matrix(found: list[str]) -> Words | None:
    """Elements of polarimetric matrices (PolSARpro's C3 and T3, UAVSAR's HHHV) and parts of complex bands."""
    part = next((token for token in found if _PARTS.fullmatch(token)), "")
    for token in found:
        element = _MATRIX.fullmatch(token) or _POLARISED.fullmatch(token)
        if element and (element.group(1) != element.group(2)):
            return Words(Kind.SIGNED, f"{token} {part}".strip())
        if element and not part and not any(t in ("db", "mask", "ratio", "phase") for t in found):
            return Words(echo=True, echo_text=token, domain="power")
        if _SCATTERING.fullmatch(token):
            return Words(Kind.COMPLEX_PART, f"{token} {part}".strip())
    if part in ("real", "imag", "imaginary"):
        return Words(Kind.COMPLEX_PART, part)
    if found and found[0] in ("i", "q") and (len(found) == 1 or _TABLE.keys() & {(t,) for t in found[1:]}):
        return Words(Kind.COMPLEX_PART, found[0])
    if len(found) > 1 and found[0] in ("i", "q") and found[1] in ("ifg", "iw1", "iw2", "iw3", "band"):
        return Words(Kind.COMPLEX_PART, found[0])
    return None
