"""`lapped16` with its arithmetic on a torch device: same files, same integers, same pixels.

Transform, choice of hyper-latents, classes and means run there; trellis and entropy coding stay on the
threads of the CPU. Each calling thread has a CUDA stream of its own and copies through pinned memory, so that
the transfers and kernels of some threads overlap with the entropy coding of others. Where memory runs out,
the work is halved.

What must be exact is (see hyperprior): integers in float32 products. What must be near the CPU's, transform
and means, is computed in float64: these are under 100 multiplications a pixel, and anybody in the process
may have allowed TensorFloat-32 for float32. The network that chooses hyper-latents takes 60 and stays in
float32; converting to bfloat16 and back would cost more than it saves.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sarzip.codec.lapped16 import transform as lapped_transform
from sarzip.codec.lapped16.parts import Parts
from sarzip.codec.lapped16.scale_classes import (
    CLASSES,
    HIDDEN_BITS,
    SIDE_CLIP,
    SUM_BITS,
    TOP_HIDDEN,
    WEIGHT_BITS,
    classes_beyond,
    interpolate_knots,
    step_index,
)
from sarzip.codec.lapped16.transform import CHANNELS, STRIDE
from sarzip.errors import SarzipError

ALL_DEVICES = "cuda"
"""Name of all CUDA devices together; one of them is 'cuda:N'."""

Part = Callable[["_Networks", int, int], Tensor]
"""Result (C, rows, columns) for the rows from … to of some work."""


class TorchBackend:
    """Transform and networks on one device, or on all CUDA devices, over which calling threads take turns."""

    def __init__(self, parts: Parts, device: str) -> None:
        """device: 'cuda:N', 'cuda' for all, 'cpu:0' for tests."""
        self._parts = parts
        names = [device]
        if device == ALL_DEVICES:
            names = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
        self._devices = [torch.device(name) for name in names]
        self._turns = itertools.count()
        self._local = threading.local()
        self._lock = threading.Lock()
        self._networks: dict[torch.device, _Networks] = {}

    def analyse(self, signal: NDArray[np.float32]) -> NDArray[np.float32]:
        """See Backend."""
        h, w = (size // STRIDE - 2 for size in signal.shape)

        def part(networks: _Networks, first: int, stop: int) -> Tensor:
            return networks.analyse(networks.put(signal[STRIDE * first : STRIDE * (stop + 2)]))

        return self._run(part, h, (CHANNELS, h, w))

    def restore(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """See Backend."""
        h, w = latents.shape[1] - 2, latents.shape[2] - 2

        def part(networks: _Networks, first: int, stop: int) -> Tensor:
            return networks.synthesise(networks.put(latents[:, first : stop + 2]))[None]

        return self._run(part, h, (1, STRIDE * h, STRIDE * w))[0]

    def describe(self, units: NDArray[np.float32], step: float) -> NDArray[np.float32]:
        """See Backend."""
        analysis = self._parts.analysis
        assert analysis is not None  # analyse comes first
        row, (h, w) = analysis.knot_row(step), units.shape[1:]
        half = ((h + 1) // 2, (w + 1) // 2)

        def part(networks: _Networks, first: int, stop: int) -> Tensor:
            low, high = _widened(first, stop, half[0])
            z = networks.describe(networks.put(units[:, 2 * low : 2 * high]), networks.put(row))
            return z[:, first - low : stop - low]

        return self._run(part, half[0], (self._parts.hyper.side_channels, *half))

    def classes(self, z: NDArray[np.int32], shape: tuple[int, int], step: float) -> NDArray[np.uint8]:
        """See Backend."""
        index, knots = step_index(step), self._parts.hyper.knots
        first_row, last_row = (interpolate_knots(knots[name], index)[:, None] for name in ("first", "last"))
        beyond = classes_beyond(index, len(knots["last"]))

        def part(networks: _Networks, first: int, stop: int) -> Tensor:
            low, high = _widened(first, stop, z.shape[1])
            biases = networks.put(first_row), networks.put(last_row)
            classes = networks.classes(networks.put(z[:, low:high]), *biases, beyond)
            return classes[:, 2 * (first - low) : 2 * (stop - low)]

        classes = self._run(part, z.shape[1], (CHANNELS, *shape), torch.uint8)
        return classes.reshape(CHANNELS, -1)

    def means(self, z: NDArray[np.int32], shape: tuple[int, int]) -> NDArray[np.float32]:
        """See Backend."""
        count = len(self._parts.mean) // 4

        def part(networks: _Networks, first: int, stop: int) -> Tensor:
            low, high = _widened(first, stop, z.shape[1])
            means = networks.means(networks.put(z[:, low:high]))
            return means[:, 2 * (first - low) : 2 * (stop - low)]

        return self._run(part, z.shape[1], (count, *shape)).reshape(count, -1)

    def _run(
        self, part: Part, rows: int, shape: tuple[int, int, int], dtype: torch.dtype = torch.float32
    ) -> NDArray[Any]:
        """An array (C, h, w) made of rows of work, each giving the same number of its rows, at once if the
        device's memory allows. What a part gives beyond w and h is cut off.
        """
        with self._here() as networks:
            out = networks.host(shape, dtype)
            each = -(-shape[1] // rows)

            def write(first: int, stop: int) -> None:
                place = out[:, each * first : each * stop]
                result = part(networks, first, stop)[:, : place.shape[1], : shape[2]]
                place.copy_(result.contiguous(), non_blocking=place.is_contiguous())

            _in_halves(write, rows)
            networks.wait()
        return np.asarray(out.numpy())

    @contextlib.contextmanager
    def _here(self) -> Iterator[_Networks]:
        """The networks on this thread's device, within its stream."""
        local = self._local
        if not hasattr(local, "networks"):
            device = self._devices[next(self._turns) % len(self._devices)]
            local.networks = self._networks_on(device)
            local.stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        within = torch.cuda.stream(local.stream) if local.stream else contextlib.nullcontext()
        # In a thread of the caller's, autocast could be on and would round the sums of integers.
        off = torch.autocast(local.networks.device.type, enabled=False)
        with torch.inference_mode(), off, within:
            yield local.networks

    def _networks_on(self, device: torch.device) -> _Networks:
        with self._lock:
            if device not in self._networks:
                self._networks[device] = _Networks(device, self._parts)
            return self._networks[device]


def _widened(first: int, stop: int, rows: int) -> tuple[int, int]:
    """Rows with a neighbour on each side where there is one."""
    return max(0, first - 1), min(rows, stop + 1)


def _in_halves(run: Callable[[int, int], None], rows: int) -> None:
    """run(first, stop) over all rows; where the device's memory runs out, over halves."""
    waiting = [(0, rows)]
    while waiting:
        first, stop = waiting.pop()
        full = False
        try:
            run(first, stop)
        except torch.cuda.OutOfMemoryError as error:
            if stop - first == 1:
                raise SarzipError(
                    "the CUDA device has too little free memory; end what else uses it, or give `device` cpu"
                ) from error
            full = True
        if full:  # out here, where the error no longer holds the tensors of what failed
            torch.cuda.empty_cache()
            middle = (first + stop) // 2
            waiting += [(middle, stop), (first, middle)]


class _Networks:
    """The parts of a model on one device: tensors in and out, nothing kept between calls."""

    def __init__(self, device: torch.device, parts: Parts) -> None:
        self.device = device

        def there(values: Any, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.from_numpy(np.array(values)).to(dtype).to(device)

        self._layers = {name: there(matrix) for name, matrix in parts.hyper.layers.items()}
        self._biases = {name: there(bias)[:, None] for name, bias in parts.hyper.biases.items()}
        self._mean = there(parts.mean, torch.float64)
        if parts.transform is not None:
            basis = parts.transform.basis
            early, late = basis[:, :STRIDE], basis[:, STRIDE:]
            self._analysis = there(np.concatenate([early, late]), torch.float64)
            self._synthesis = there(np.concatenate([late.T, early.T]), torch.float64)
            order = lapped_transform.channel_order()
            natural = order[:, 0] * STRIDE + order[:, 1]
            self._natural = there(natural, torch.int64)
            self._channel = there(np.argsort(natural), torch.int64)
            zones = np.asarray(parts.weights["side.analysis.zones"])
            pool = np.eye(int(zones.max()) + 1)[zones].T
            self._pool = there(pool / pool.sum(1, keepdims=True))
            prefix = "side.analysis."
            self._side = {
                name.removeprefix(prefix): there(value.reshape(len(value), -1))
                for name, value in parts.weights.items()
                if name.startswith(prefix)
            }

    def put(self, values: NDArray[Any]) -> Tensor:
        """An array as float32 on the device; through pinned memory, so that nobody waits for it."""
        host = torch.from_numpy(np.require(values, np.float32, ("C", "W")))
        return (host.pin_memory() if self._cuda else host).to(self.device, non_blocking=True)

    def host(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Memory for results."""
        return torch.empty(shape, dtype=dtype, pin_memory=self._cuda)

    def wait(self) -> None:
        """Until all results of this thread have arrived."""
        if self._cuda:
            torch.cuda.current_stream(self.device).synchronize()

    @property
    def _cuda(self) -> bool:
        return self.device.type == "cuda"

    def analyse(self, signal: Tensor) -> Tensor:
        """Signal (16h+32, 16w+32) to latents (256, h, w)."""
        inner = signal[8:-8, 8:-8].double()
        h, w = (size // STRIDE for size in inner.shape)
        blocks = inner.reshape(h, STRIDE, w, STRIDE).permute(1, 3, 0, 2)
        blocks = _lapped(self._analysis, blocks, 2).transpose(0, 1)
        latents = _lapped(self._analysis, blocks, 3).transpose(0, 1).reshape(CHANNELS, h - 1, w - 1)
        return latents[self._natural].float()

    def synthesise(self, latents: Tensor) -> Tensor:
        """Latents (256, h+2, w+2) to signal (16h, 16w)."""
        blocks = latents[self._channel].double().reshape(STRIDE, STRIDE, *latents.shape[1:])
        blocks = _lapped(self._synthesis, blocks, 2).transpose(0, 1)
        blocks = _lapped(self._synthesis, blocks, 3)
        h, w = blocks.shape[2:]
        return blocks.permute(2, 1, 3, 0).reshape(STRIDE * h, STRIDE * w)[8:-8, 8:-8].float()

    def describe(self, units: Tensor, knot_row: Tensor) -> Tensor:
        """What HyperEncoder does: latents in steps (256, h, w) to hyper-latents (S, ceil(h/2), ceil(w/2))."""
        h, w = units.shape[1:]
        units = F.pad(units, (0, w % 2, 0, h % 2), mode="replicate")
        half = ((h + 1) // 2, (w + 1) // 2)
        side = self._side
        low = side["direct.weight"].shape[1] // 4
        signed = side["inward.weight"].shape[1] // 4 - len(self._pool)
        zones = torch.log1p(self._pool @ units.abs().reshape(CHANNELS, -1)).reshape(-1, *units.shape[1:])
        few = units[:signed]
        features = torch.cat([zones, torch.copysign(torch.log1p(few.abs()), few)])
        places = F.pixel_unshuffle(features, 2).reshape(len(features), 4, -1).transpose(0, 1)
        x = side["inward.weight"] @ places.reshape(4 * len(features), -1)
        x = torch.relu(x + side["inward.bias"] + knot_row)
        around = _neighbourhoods(x.reshape(-1, *half))
        x = x + torch.relu(side["mix.weight"] @ around + side["mix.bias"])
        direct = side["direct.weight"] @ F.pixel_unshuffle(units[:low], 2).reshape(4 * low, -1)
        return (side["out.weight"] @ x + side["out.bias"] + direct).reshape(-1, *half)

    def classes(self, side: Tensor, first: Tensor, last: Tensor, beyond: int) -> Tensor:
        """What IntegerHyper does: hyper-latents (S, h, w) to classes (256, 2h, 2w); biases at a step."""
        half, layers, biases = side.shape[1:], self._layers, self._biases
        x = layers["first"] @ _neighbourhoods(side.clamp(-SIDE_CLIP, SIDE_CLIP))
        x = _activate(x * (1 << HIDDEN_BITS) + first)
        x = _activate(layers["up"] @ x + biases["up"])
        x = F.pixel_shuffle(x.reshape(-1, *half), 2).reshape(len(x) // 4, -1)
        x = _activate(layers["mid"] @ x + biases["mid"])
        sums = (layers["last"] @ x + last).int() + (1 << (SUM_BITS - 1))
        classes = ((sums >> SUM_BITS) + beyond).clamp(0, CLASSES - 1)
        return classes.to(torch.uint8).reshape(CHANNELS, 2 * half[0], 2 * half[1])

    def means(self, side: Tensor) -> Tensor:
        """Hyper-latents (S, h, w) to means (M, 2h, 2w) in steps."""
        means = self._mean @ _neighbourhoods(side).double()
        return F.pixel_shuffle(means.reshape(-1, *side.shape[1:]), 2).float()


def _lapped(matrix: Tensor, blocks: Tensor, axis: int) -> Tensor:
    """Each block (axis 0 of 16, many, h, w) and its successor along an axis to 16 values: the first half of
    the matrix (32, 16) times the one and the second half times the other.
    """
    first, second = (matrix @ blocks.reshape(STRIDE, -1)).reshape(2, *blocks.shape)
    count = blocks.shape[axis] - 1
    return first.narrow(axis, 0, count) + second.narrow(axis, 1, count)


def _neighbourhoods(planes: Tensor) -> Tensor:
    """(S, h, w) to the 3×3 surroundings of each position, (9·S, h·w), edges repeated."""
    return F.unfold(F.pad(planes, (1, 1, 1, 1), mode="replicate")[None], 3)[0]


def _activate(total: Tensor) -> Tensor:
    """Sums (count 1/1024) to hidden integers (count 1/16)."""
    return torch.floor(total * (1.0 / (1 << WEIGHT_BITS))).clamp(0, TOP_HIDDEN)
