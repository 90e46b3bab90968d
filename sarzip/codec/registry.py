"""The codecs of signals by their id, and how one is built from a model's card and weights."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sarzip.codec.base import SignalCodec
from sarzip.errors import ModelError

PREDICTIVE = "predictive"
"""The family of models whose codec sees samples, not signals; see codec.predictive."""
EFFORTS = ("fast", "best")
"""How hard an encoder searches; files of either decode alike. ae16 has one way only."""


@dataclass(frozen=True)
class Backing:
    """Where and how a codec works. device: 'cpu', 'cuda:N', or 'cuda' for all. effort: of EFFORTS."""

    device: str = "cpu"
    effort: str = "best"


def _ae16(config: Mapping[str, Any], weights: Mapping[str, Any], backing: Backing) -> SignalCodec:
    from sarzip.codec.ae16.codec import Ae16Codec, Ae16Config

    return Ae16Codec(Ae16Config(**config), weights, backing.device)


def _lapped16(config: Mapping[str, Any], weights: Mapping[str, Any], backing: Backing) -> SignalCodec:
    from sarzip.codec.lapped16.codec import DEFAULT_STATES, Lapped16, Lapped16Config

    states = 1 if backing.effort == "fast" else DEFAULT_STATES
    return Lapped16(Lapped16Config(**config), weights, states, backing.device)


def _lapped16_pair(single: SignalCodec, wanted: Collection[int]) -> SignalCodec:
    from sarzip.codec.lapped16.band_pair import Lapped16Pair
    from sarzip.codec.lapped16.codec import Lapped16

    assert isinstance(single, Lapped16)
    return Lapped16Pair(single, wanted)


_BUILDERS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any], Backing], SignalCodec]] = {
    "ae16": _ae16,
    "lapped16": _lapped16,
}
_PAIRS: Mapping[str, Callable[[SignalCodec, Collection[int]], SignalCodec]] = {"lapped16": _lapped16_pair}


def build_codec(
    family: str, config: Mapping[str, Any], weights: Mapping[str, Any], backing: Backing = Backing()
) -> SignalCodec:
    """The codec `family` of a card, from its architecture parameters and its weights.

    Raises ModelError when this version of sarzip does not know it or the weights do not fit.
    """
    if family == PREDICTIVE:
        raise ModelError(
            f"family '{family}' codes pixels and comes in by itself where bit for bit or a bound "
            "is asked for; name a model of signals"
        )
    if family not in _BUILDERS:
        raise ModelError(
            f"model family '{family}' is unknown to this version of sarzip; a newer one may have it"
        )
    try:
        return _BUILDERS[family](config, weights, backing)
    except (TypeError, KeyError, RuntimeError) as error:
        raise ModelError(f"weights of family '{family}' do not fit their card ({error})") from error


def for_bands(codec: SignalCodec, bands: int, wanted: Collection[int] | None = None) -> SignalCodec:
    """The codec of sets of so many bands with a model's weights; ModelError where there is none.

    wanted: positions in the set that are decoded (None: all); the others may come out as zeros.
    """
    if codec.inputs == bands:
        return codec
    if bands == 2 and can_pair(codec):
        return _PAIRS[codec.id](codec, (0, 1) if wanted is None else wanted)
    raise ModelError(f"a model of family '{codec.id}' cannot code {bands} bands together")


def can_pair(codec: SignalCodec) -> bool:
    """Whether the codec takes one band at a time or two together, as one likes."""
    return codec.id in _PAIRS and codec.inputs == 1
