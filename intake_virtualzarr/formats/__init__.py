"""Archive formats: each a plug-in of the entry point group ``intake_virtualzarr.formats``."""

__all__: list[str] = []
