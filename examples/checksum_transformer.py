"""A storage transformer of one's own: every chunk ends with its CRC-32, which is checked and cut off when the chunk is read.

Zarr's `crc32c` codec does the same within a chunk; as a transformer the array's codecs need not know of it. In a package of its
own, an entry point makes the name known without a call:

    [project.entry-points."intake_virtualzarr.storage_transformers"]
    checksum = "checksum_transformer:Checksum"
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from zlib import crc32

import numpy as np
import zarr
from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore

import intake_virtualzarr as ivz


class Checksum(ivz.StorageTransformer):
    """Values of an array end with their checksum, 4 bytes, little-endian."""

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """The value of a key without its checksum.

        Raises
        ------
        ValueError
            If the checksum is that of other bytes.
        """
        whole = await self.inner.get(key, prototype)
        if whole is None:
            return None
        raw = whole.to_bytes()
        value, stated = raw[:-4], int.from_bytes(raw[-4:], "little")
        if crc32(value) != stated:
            raise ValueError(f"{self.place.path}/{key}: checksum {stated:08x} stands for other bytes; the store is damaged")
        return self.answer(value, prototype, byte_range)


def write_with_checksums(store: Path, values: np.ndarray) -> None:
    """An array of one chunk a row, then its chunks with checksums and its metadata with the transformer."""
    zarr.create_array(store, data=values, chunks=(1, values.shape[1]), compressors=None)
    for path in (store / "c").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes() + crc32(path.read_bytes()).to_bytes(4, "little"))
    document = json.loads((store / "zarr.json").read_text())
    document["storage_transformers"] = [{"name": "checksum", "configuration": {}}]
    (store / "zarr.json").write_text(json.dumps(document))


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        store = Path(folder) / "rows.zarr"
        rows = np.arange(12.0).reshape(3, 4)
        write_with_checksums(store, rows)
        ivz.register_storage_transformer("checksum", Checksum)

        array = zarr.open_array(ivz.TransformedStore(LocalStore(store)), mode="r")
        np.testing.assert_array_equal(array[...], rows)
        print(f"{array.nchunks_initialized} chunks read and checked")

        chunk = store / "c" / "1" / "0"
        chunk.write_bytes(bytes([chunk.read_bytes()[0] ^ 1]) + chunk.read_bytes()[1:])
        try:
            array[1]
        except ValueError as error:
            print("one bit changed:", error)
