"""From a search to a published store: the order of work."""
