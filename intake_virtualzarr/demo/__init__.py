"""``intake-virtualzarr demo``: the whole way once, on synthetic files, with every value checked."""
