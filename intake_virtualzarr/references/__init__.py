"""References that other tools wrote: kerchunk's JSON and Parquet, Icechunk repositories.

`zarr_v2` and `zarr_v3` read array metadata into one value (`metadata`), `numcodecs_v2` names codecs, `tables` and `deferred` hold
places of chunks, and each kind of references has one module: `kerchunk_json`, `kerchunk_parquet`, `icechunk_repository`.
"""
