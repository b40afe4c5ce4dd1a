"""The commands of the command line, one module each: ``add_parser`` says what it takes, ``run`` does it."""

__all__: list[str] = []
