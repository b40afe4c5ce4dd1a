"""CF decoding while chunks are read: on the threads that inflate them, and while they are in the cache of the core.

xarray decodes after the read, in one thread and in several passes over the whole array; for packed integers that takes
longer than reading. The bits are the same (`intake_virtualzarr.codecs.cf_packing` keeps xarray's types and order of steps).
"""

from __future__ import annotations

from intake_virtualzarr._typing import Attrs, DType
from intake_virtualzarr.arrays.array import VirtualZarrArray
from intake_virtualzarr.arrays.segments import source_of
from intake_virtualzarr.codecs.cf_packing import Packing

__all__ = ["decoding_array"]


def decoding_array(array: VirtualZarrArray, attrs: Attrs, dtype: DType, mask_and_scale: object) -> VirtualZarrArray | None:
    """The array whose values are those that xarray would make of ``array``, or None if xarray must make them.

    Where a scale factor is an integer, values are float64: xarray's are in the type of the factor, which need not hold them.

    Parameters
    ----------
    array : VirtualZarrArray
        Stored values.
    attrs : mapping
        Attributes before xarray decoded them.
    dtype : numpy.dtype
        Data type that xarray's decoded variable has; another than that of the packing tells of another decoding (times,
        characters, booleans).
    mask_and_scale : bool or mapping
        xarray's option.
    """
    if mask_and_scale is not True or array.decoded or array.mixed:
        return None
    # xarray decodes into the type of a scale factor that is an integer: there numbers wrap around, and nothing means NaN
    narrow = dtype.kind in "iu" and "scale_factor" in attrs
    # a concatenation in a hierarchy opens its members when they are touched; asking for their packing would touch all
    if source_of(array.segments) is not None and not narrow:
        return None
    packing = array.packing
    if (
        packing is None
        or packing.odd is not None
        or (packing.dtype != dtype and not narrow)
        or packing != Packing.from_attrs(attrs, array.dtype)
    ):
        return None
    decoded = array.decode()
    return decoded if decoded.dtype == packing.dtype else None
