"""`python src/main.py` starts the API, as in the reference implementation; it takes the flags of `tsir serve`."""

import sys

from tsir.cli import main

if __name__ == "__main__":
    main(["serve", *sys.argv[1:]])
