"""Which coders a file or a plan needs: the codecs of its sets, loaded once each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sarzip.codec.base import EXACT, Quality, SignalCodec
from sarzip.codec.exact.codec import ExactCodec
from sarzip.codec.predictive.codec import PredictiveCodec
from sarzip.codec.predictive.network import PixelNetwork
from sarzip.codec.predictive.plane import PixelBand
from sarzip.codec.registry import PREDICTIVE, Backing, build_codec, for_bands
from sarzip.container import Header, ModelRef
from sarzip.errors import CorruptError, ModelError
from sarzip.pipeline.band import BandTransform
from sarzip.pipeline.bounds import bound_of
from sarzip.pipeline.decode import Decoder, Hooks, RegionGroups
from sarzip.pipeline.group import GroupCoder
from sarzip.pipeline.models import PIXEL_MODEL, ModelStore
from sarzip.pipeline.own_weights import network_of
from sarzip.pipeline.sample_group import SampleGroups
from sarzip.pipeline.selection import Region, whole_scene
from sarzip.pipeline.signal_group import SignalGroups
from sarzip.system.machine import Machine, choose_machine

_FEW_GROUPS = 16


@dataclass(frozen=True)
class DecodeOptions:
    """Where and with what to decode. device: auto, cpu, cuda or cuda:N. threads 0: all cores.

    model: folder of the model to use when the file names one that is not released with sarzip; its hash must
    be the file's all the same, unless trust_model says to take it as it is.
    """

    device: str = "auto"
    threads: int = 0
    model: str | None = None
    trust_model: bool = False


def load_coders(
    header: Header, bands: Collection[int], device: str = "cpu", options: DecodeOptions = DecodeOptions()
) -> dict[int, GroupCoder]:
    """A coder for each set of a file that has some of the 0-based `bands`, by number; others of its bands may
    come out as zeros. A wrong or missing model is a ModelError.
    """
    if header.parts > 1:
        raise CorruptError("written by a newer sarzip: several data frames for a group of a set")
    store, grid = ModelStore(), header.grid
    built: dict[tuple[int, str], SignalCodec | PixelNetwork] = {}
    found: dict[int, GroupCoder] = {}
    for number, each in enumerate(header.sets):
        positions = [at for at, band in enumerate(each.bands) if band in bands]
        if not positions:
            continue
        if each.model is None:
            found[number] = _sample_groups(header, number)
            continue
        bound = bound_of(each)
        # Of another device the signal would differ in its last digits, and a bound hangs on these.
        place = "cpu" if bound else device
        key = each.model, place
        if key not in built:
            wanted = header.models[each.model]
            path = options.model if _is_for(options.model, wanted, store) else None
            card, weights = store.load_for_file(wanted, path, options.trust_model)
            built[key] = (
                PixelNetwork.from_weights(weights)
                if card.family == PREDICTIVE
                else build_codec(card.family, card.config, weights, Backing(place))
            )
        model, transforms = built[key], _transforms(header, number)
        if isinstance(model, PixelNetwork):
            pixels = [PixelBand(band.dtype) for band in transforms.values()]
            found[number] = SampleGroups(
                PredictiveCodec(network_of(each, model), pixels, bound), Quality(bound=bound), transforms
            )
            continue
        codec = _fitting(model, len(each.bands), positions)
        found[number] = SignalGroups(codec, Quality(each.step, bound), transforms, grid)
    return found


def _is_for(path: str | None, wanted: ModelRef, store: ModelStore) -> bool:
    """Whether the model that the user names is one for pixels, as the wanted one is, or neither is."""
    return path is not None and (store.find(path).family == PREDICTIVE) == (wanted.id == PIXEL_MODEL)


def _sample_groups(header: Header, number: int) -> SampleGroups:
    bands = _transforms(header, number)
    return SampleGroups(ExactCodec([band.dtype for band in bands.values()]), EXACT, bands)


def _transforms(header: Header, number: int) -> dict[int, BandTransform]:
    return {band: BandTransform.from_header(header.bands[band]) for band in header.sets[number].bands}


def _fitting(codec: SignalCodec, bands: int, wanted: Collection[int]) -> SignalCodec:
    """The codec of sets of so many bands; CorruptError where no writer makes such sets."""
    try:
        return for_bands(codec, bands, wanted)
    except ModelError as error:
        raise CorruptError(f"header does not fit its model: {error}") from error


def region_groups(
    header: Header, region: Region, device: str, options: DecodeOptions = DecodeOptions()
) -> RegionGroups:
    """What a region takes of a file, with its coders."""
    return RegionGroups(header, region, region_coders(header, region.bands, device, options))


def region_coders(
    header: Header, bands: Collection[int], device: str = "cpu", options: DecodeOptions = DecodeOptions()
) -> dict[int, GroupCoder]:
    """A coder for each set that some of the 0-based `bands`, or the dataset's mask, are read from."""
    coders = load_coders(header, bands, device, options)
    if header.raster.get("k") and 0 not in coders:  # its frames carry the mask; for that no model is needed
        coders[0] = _sample_groups(header, 0)
    return coders


def region_decoder(
    header: Header, region: Region, options: DecodeOptions = DecodeOptions(), hooks: Hooks = Hooks()
) -> tuple[Decoder, Machine]:
    """A decoder of a region, and the machine it runs on.

    A few groups, or a reduced resolution, are read on the CPU unless a GPU is asked for by name: starting one
    takes longer. Raises ModelError, UsageError or InputError.
    """
    part = region != whole_scene(header)
    light = part and (len(header.grid.covering(region.window)) <= _FEW_GROUPS or region.scale > 1)
    device = "cpu" if light and options.device == "auto" else options.device
    machine = choose_machine(device, options.threads)
    return Decoder(region_groups(header, region, machine.device, options), header, machine, hooks), machine


def scene_decoder(
    header: Header, machine: Machine, options: DecodeOptions = DecodeOptions(), hooks: Hooks = Hooks()
) -> Decoder:
    """A decoder of the whole scene."""
    groups = region_groups(header, whole_scene(header), machine.device, options)
    return Decoder(groups, header, machine, hooks)
