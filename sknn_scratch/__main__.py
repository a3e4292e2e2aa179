"""Start the demonstration: ``python -m sknn_scratch``."""

import sys

from sknn_scratch.demonstration.command import main

if __name__ == "__main__":
    sys.exit(main())
