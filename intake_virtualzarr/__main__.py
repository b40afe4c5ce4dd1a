"""``python -m intake_virtualzarr``: the command line."""

import sys

from intake_virtualzarr.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
