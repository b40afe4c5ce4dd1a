"""Archive formats: each a plug-in, our own and those of the entry point group ``intake_virtualzarr.formats``."""

__all__: list[str] = []
