"""Bytes as they come -> the first region whose hash is not the recorded one.

Stands below the download, which commits nothing damaged, and the second look at a cached file.
"""

from collections.abc import Iterable

import xxhash

from schemas.manifest import FileHashes


class RegionCheck:
    """Compares a content, given piece by piece, with `hashes`.

    `damage` says the first thing that is wrong (region, bytes, expected and found hash), or is
    empty; what comes behind it is not looked at.
    """

    def __init__(self, hashes: FileHashes) -> None:
        self._hashes, self._region, self._position = hashes, 0, 0
        self._digest = xxhash.xxh3_64()
        self.damage = ""

    def update(self, piece: bytes) -> None:
        """Look at the next bytes."""
        left = memoryview(piece)
        while left and not self.damage:
            if self._position == self._hashes.bytes:
                self.damage = f"longer than the {self._hashes.bytes} bytes expected"
                return
            taken = left[: self._stop - self._position]
            self._digest.update(taken)
            self._position += len(taken)
            left = left[len(taken) :]
            self._end_regions()

    def finish(self) -> str:
        """The damage, a missing end included; empty when the content is what it must be."""
        self._end_regions()
        if not self.damage and self._position != self._hashes.bytes:
            self.damage = f"{self._position} bytes long, expected {self._hashes.bytes}"
        return self.damage

    @property
    def _stop(self) -> int:
        return self._hashes.offsets[self._region + 1]

    def _end_regions(self) -> None:
        """Close every region that ends here; there may be empty ones."""
        hashes = self._hashes
        while self._region < len(hashes.xxh3) and self._position == self._stop and not self.damage:
            found, expected = self._digest.intdigest(), hashes.xxh3[self._region]
            if found != expected:
                start = hashes.offsets[self._region]
                self.damage = (
                    f"region {self._region} of {len(hashes.xxh3)} (bytes {start}..{self._stop}) is "
                    f"damaged: expected xxh3 {expected:016x}, found {found:016x}"
                )
            self._region += 1
            self._digest.reset()


def damage_of(pieces: Iterable[bytes], hashes: FileHashes) -> str:
    """What is wrong with a content; empty when nothing is."""
    check = RegionCheck(hashes)
    for piece in pieces:
        check.update(piece)
        if check.damage:
            return check.damage
    return check.finish()
