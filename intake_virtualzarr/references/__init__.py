"""References that other tools wrote: kerchunk's JSON and Parquet, Icechunk repositories.

`zarr_v2` and `zarr_v3` read array metadata into one value (`metadata`), `numcodecs_v2` names codecs, `build` makes groups and
arrays; `tables`, `deferred` and `whole_files` hold places of chunks, `places` says what texts of references mean. Each kind of
references has its module: `kerchunk_json` (with `templates`), `kerchunk_parquet`, `icechunk_repository` (with `icechunk_open`).
`find` tells them apart.
"""
