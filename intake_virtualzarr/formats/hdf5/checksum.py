"""The checksum of HDF5's structures.

References
----------
HDF5 File Format Specification 3.0, III: "Jenkins' lookup3".
"""

from __future__ import annotations

from numcodecs.jenkins import jenkins_lookup3

from intake_virtualzarr.errors import FormatError

__all__ = ["check_sum"]


def check_sum(data: bytes, what: str, address: int) -> None:
    """Verify Jenkins' lookup3 checksum in the last four bytes.

    Raises
    ------
    FormatError
        If it does not match.
    """
    if jenkins_lookup3(data[:-4], 0) != int.from_bytes(data[-4:], "little"):
        raise FormatError(f"checksum of the {what} at address {address:#x} does not match: the file is damaged")
