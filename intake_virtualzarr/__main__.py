"""``python -m intake_virtualzarr``: the command line."""

import sys

from intake_virtualzarr.cli.main import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
