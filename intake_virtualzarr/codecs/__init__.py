"""Codec pipelines: how encoded chunks become values.

`spec` holds the value type and comparisons, `registry` the decoders by name, `filters` the byte transforms, `layout` the
array-to-bytes codecs, and `pipeline` turns a pipeline into one function. `zarr_codecs` teaches zarr-python the same names.
"""

from intake_virtualzarr.codecs.pipeline import Decoder, compile_pipeline
from intake_virtualzarr.codecs.spec import CodecSpec, Pipeline, pipeline_from_json, pipeline_to_json, same_decoding

__all__ = [
    "CodecSpec",
    "Decoder",
    "Pipeline",
    "compile_pipeline",
    "pipeline_from_json",
    "pipeline_to_json",
    "same_decoding",
]
