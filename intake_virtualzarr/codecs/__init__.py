"""Codec pipelines: how encoded chunks become values.

`spec` holds the value type and comparisons, `registry` the decoders by name, `bytes_to_bytes` the byte transforms,
`array_to_bytes` and `array_to_array` the codecs of those kinds, `hdf5_*` HDF5's filters and datatypes, `cf_packing` CF's scale
factors and fills; `pipeline` turns a pipeline into one function.
"""

__all__: list[str] = []
