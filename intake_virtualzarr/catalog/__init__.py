"""From a search to a published store: the order of work."""

__all__: list[str] = []
