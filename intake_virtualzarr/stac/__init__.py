"""STAC: from a search to source files, and from a virtual store to a published collection.

``find`` is the way in (`find_sources`), over ``client``, ``items``, ``assets``, ``select`` and ``order``;
``publish`` is the way out (`publish_collection`, `publish_item`), over ``publication`` and ``build``.
"""

__all__: list[str] = []
