"""Intake's doors: the drivers ``virtualzarr`` and ``virtualzarr_stac``, as sources (Intake 1) and readers (Intake 2)."""

__all__: list[str] = []
