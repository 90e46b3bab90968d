"""The binary range coder in plain Python, written from sarzip/container/FORMAT.md, section 9.6."""

from __future__ import annotations


class Model:
    """Probabilities of a 0 in 1/65536, by context."""

    def __init__(self, contexts: int, limit: int) -> None:
        self._chances = [32768] * contexts
        self._counts = [0] * contexts
        self._limit = limit

    def start(self, context: int, chance: int, count: int) -> None:
        self._chances[context], self._counts[context] = chance, count

    def chance(self, context: int) -> int:
        return self._chances[context]

    def count(self, context: int) -> int:
        return self._counts[context]

    def learn(self, context: int, bit: int) -> None:
        p, n = self._chances[context], self._counts[context]
        rate = 131072 // (2 * n + 3)
        p = p - (p * rate >> 16) if bit else p + ((65536 - p) * rate >> 16)
        self._chances[context] = min(max(p, 32), 65504)
        self._counts[context] = min(n + 1, self._limit) if n < self._limit else n


class Decoder:
    """Reads zeros beyond the end of the data."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._range = (1 << 32) - 1
        self._code = int.from_bytes(data[:4].ljust(4, b"\0"), "big")
        self._at = 4

    def take(self, chance: int) -> int:
        bound = (self._range >> 16) * chance
        bit = int(self._code >= bound)
        if bit:
            self._code -= bound
            self._range -= bound
        else:
            self._range = bound
        while self._range < 1 << 24:
            self._code = self._code << 8 | (self._data[self._at] if self._at < len(self._data) else 0)
            self._range <<= 8
            self._at += 1
        return bit

    def bit(self, model: Model, context: int) -> int:
        bit = self.take(model.chance(context))
        model.learn(context, bit)
        return bit

    def at_end(self) -> bool:
        start = self._at - 4
        low = (int.from_bytes(self._data[start : self._at].ljust(4, b"\0"), "big") - self._code) % (1 << 32)
        if -low % (1 << 32) < self._range:
            right = self._code == -low % (1 << 32) and len(self._data) <= start
        else:
            right = self._code == -low % (1 << 24) and len(self._data) <= start + 1
        return right and not self._data.endswith(b"\0")


class Encoder:
    """Keeps the low end of the interval as one long number."""

    def __init__(self) -> None:
        self._low, self._range, self._shifted = 0, (1 << 32) - 1, 0

    def put(self, chance: int, bit: int) -> None:
        bound = (self._range >> 16) * chance
        if bit:
            self._low += bound
            self._range -= bound
        else:
            self._range = bound
        while self._range < 1 << 24:
            self._low <<= 8
            self._range <<= 8
            self._shifted += 1

    def finish(self) -> bytes:
        for dropped in (4, 3):
            unit = 1 << 8 * dropped
            number = -(-self._low // unit)
            if number * unit < self._low + self._range:
                return number.to_bytes(self._shifted + 4 - dropped, "big").rstrip(b"\0")
        raise AssertionError("the interval is at least 2^24 wide")
