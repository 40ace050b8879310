"""Thrift's compact protocol, read into plain values; what Parquet writes its headers in.

Source: Thrift's specification of the compact protocol.
"""

from typing import Any

_MAX_DEPTH = 32


class Compact:
    """Thrift's compact protocol: structs as dicts by field number, lists as lists."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    @property
    def place(self) -> int:
        """How many bytes were read."""
        return self._place

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """The struct that begins here."""
        if depth > _MAX_DEPTH:
            raise ValueError("Thrift nested too deeply")
        found: dict[int, Any] = {}
        number = 0
        while (header := self._byte()) != 0:
            number = number + (header >> 4) if header >> 4 else self._zigzag()
            found[number] = self._value(header & 15, depth, is_field=True)
        return found

    def _value(self, kind: int, depth: int, is_field: bool = False) -> Any:
        if kind in (1, 2):  # a boolean field is its type, an element a byte
            return kind == 1 if is_field else self._byte() == 1
        if kind in (4, 5, 6):
            return self._zigzag()
        if kind in (3, 7, 13):
            return self._bytes({3: 1, 7: 8, 13: 16}[kind])
        if kind == 8:
            return self._bytes(self._varint())
        if kind in (9, 10):
            return self._list(depth)
        if kind == 11:
            return self._map(depth)
        if kind == 12:
            return self.struct(depth + 1)
        raise ValueError(f"a Thrift value of type {kind}")

    def _list(self, depth: int) -> list[Any]:
        header = self._byte()
        size = header >> 4 if header >> 4 < 15 else self._varint()
        self._check_size(size)
        return [self._value(header & 15, depth + 1) for _ in range(size)]

    def _map(self, depth: int) -> list[Any]:
        size = self._varint()
        kinds = self._byte() if size else 0
        self._check_size(size)
        return [
            (self._value(kinds >> 4, depth + 1), self._value(kinds & 15, depth + 1))
            for _ in range(size)
        ]

    def _check_size(self, size: int) -> None:
        if size > len(self._data) - self._place:
            raise ValueError(f"{size} Thrift elements, which do not fit")

    def _byte(self) -> int:
        self._place += 1
        return self._data[self._place - 1]

    def _bytes(self, size: int) -> bytes:
        self._check_size(size)
        self._place += size
        return self._data[self._place - size : self._place]

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63:
                raise ValueError("a Thrift number of more than 64 bits")
        return value | byte << shift

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
