"""The Python package as a reader under test: see README.md, "A reader"."""

import json
import sys
from typing import Any

import numpy as np
import zarr

import intake_virtualzarr as ivz


def in_json(values: Any) -> list[Any]:
    """Values as ``expected.json`` holds them."""
    flat = np.asarray(values).ravel()
    if flat.dtype.kind in "OUT":
        return [str(value) for value in flat]
    if flat.dtype.kind in "iu" and flat.dtype.itemsize == 8:
        return [str(value) for value in flat.tolist()]
    if flat.dtype.kind == "f":
        special = {True: "NaN", False: "Infinity"}
        return [
            value if np.isfinite(value) else f"{'-' if value < 0 else ''}{special[bool(np.isnan(value))]}"
            for value in flat.tolist()
        ]
    return [int(value) for value in flat]


def messages(error: BaseException | None) -> str:
    """The messages of an error and of its causes."""
    texts = []
    while error is not None:
        texts += [str(error), *getattr(error, "__notes__", ())]
        error = error.__cause__
    return " | ".join(texts)


def main(store_url: str, allowed: str) -> None:
    store = ivz.VirtualZarrStore(store_url, allow=allowed)
    for line in sys.stdin:
        try:
            array = zarr.open_array(store, path=line.strip(), mode="r")
            values = np.asarray(array[...])
            dtype = "string" if values.dtype.kind in "OUT" else values.dtype.name
            answer = {"shape": list(values.shape), "dtype": dtype, "values": in_json(values)}
        except Exception as error:
            answer = {"error": messages(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
