"""The model families by name, and how one is built from a model's card and weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sarzip.codec.base import Family
from sarzip.errors import ModelError

EFFORTS = ("fast", "best")
"""How hard an encoder searches; files of either decode alike. ae16 has one way only."""


def build_family(
    name: str, config: Mapping[str, Any], weights: Mapping[str, Any], device: str, effort: str = "best"
) -> Family:
    """Make the family `name` from its architecture parameters and its weights on 'cpu', 'cuda:N', or 'cuda'
    for all devices there are; see for_bands for sets of more than one band.

    Raises ModelError when this version of sarzip does not know the family or the weights do not fit.
    """
    try:
        if name == "ae16":
            from sarzip.codec.ae16.codec import Ae16Config, Ae16Family

            return Ae16Family(Ae16Config(**config), weights, device)
        if name == "lapped16":
            from sarzip.codec.lapped16.codec import DEFAULT_STATES, Lapped16Config, Lapped16Family

            states = 1 if effort == "fast" else DEFAULT_STATES
            if device == "cpu":
                return Lapped16Family(Lapped16Config(**config), weights, states)
            from sarzip.codec.lapped16.torch_device import DeviceFamily

            return DeviceFamily(Lapped16Config(**config), weights, device, states)
    except (TypeError, KeyError, RuntimeError) as error:
        raise ModelError(f"weights of family '{name}' do not fit their card ({error})") from error
    raise ModelError(f"model family '{name}' is unknown to this version of sarzip; a newer one may have it")


def for_bands(family: Family, bands: int) -> Family:
    """The family that codes sets of so many bands with a model's weights; ModelError where there is none."""
    if family.inputs == bands:
        return family
    if family.name == "lapped16" and bands == 2:
        from sarzip.codec.lapped16.band_pair import PairedFamily
        from sarzip.codec.lapped16.codec import Lapped16Family

        assert isinstance(family, Lapped16Family)
        return PairedFamily(family)
    raise ModelError(f"a model of family '{family.name}' cannot code {bands} bands together")


def can_pair(family: Family) -> bool:
    """Whether the family codes one band at a time or two together, as one likes."""
    return family.name == "lapped16" and family.inputs == 1
