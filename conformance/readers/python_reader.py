"""The Python package as a reader under test: see README.md, "A reader"."""

import json
import sys

import numpy as np
import zarr

import intake_virtualzarr as ivz


def in_json(values: np.ndarray) -> list[object]:
    """Values in the form of expected.json."""
    flat = values.ravel()
    if flat.dtype.kind in "OUT":
        return [str(value) for value in flat]
    if flat.dtype.kind == "f":
        return [
            float(v) if np.isfinite(v) else {1: "Infinity", -1: "-Infinity"}.get(int(np.sign(v)) if v == v else 0, "NaN")
            for v in flat
        ]
    return [str(v) if flat.dtype.itemsize == 8 and flat.dtype.kind in "iu" else int(v) for v in flat.tolist()]


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
