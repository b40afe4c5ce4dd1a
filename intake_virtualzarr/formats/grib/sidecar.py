"""Lists of messages that lie beside a file (``.idx`` of NOAA, ``.index`` of ECMWF): where to look ahead, and nothing else.

Its names and times are not read. Of its offsets only those count at which the walk over the file arrives; a list
that is wrong costs requests, and never gives another result.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from intake_virtualzarr.errors import VirtualZarrError
from intake_virtualzarr.formats.base import Wanted
from intake_virtualzarr.formats.grib.window import Reading
from intake_virtualzarr.storage.reader import Buffer
from intake_virtualzarr.storage.source import Source

__all__ = ["listed_offsets", "sidecar_offsets"]

LONGEST = 16 * 1024 * 1024
"""So much of a list is read [bytes]; one of a thousand messages has a hundredth of it."""
LINE_OF_NOAA = re.compile(rb"^\d+(?:\.\d+)?:(\d{1,18}):", re.MULTILINE)
OFFSET_OF_ECMWF = re.compile(rb'"_offset"\s*:\s*(\d{1,18})\s*[,}]')


def sidecar_offsets(source: Source) -> Reading[Sequence[int]]:
    """Offsets of messages as a list beside the file has them; none if there is no list."""
    for url in _names(source.url):
        wanted: Wanted = [(url, (0, LONGEST))]
        try:
            (found,) = yield wanted
        except VirtualZarrError:
            continue
        offsets = listed_offsets(found, source.size)
        if offsets:
            return offsets
    return ()


def _names(url: str) -> Iterable[str]:
    yield f"{url}.idx"
    stem, dot, ending = url.rpartition(".")
    if dot and "/" not in ending:
        yield f"{stem}.index"


def listed_offsets(text: Buffer, size: int | None) -> Sequence[int]:
    """The offsets in a list of either kind, ascending, as far as they lie in the file."""
    raw = bytes(text)
    found = LINE_OF_NOAA.findall(raw) or OFFSET_OF_ECMWF.findall(raw)
    offsets = {int(one) for one in found}
    return sorted(at for at in offsets if size is None or at < size)
