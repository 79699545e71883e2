"""``answers.py URL``: 0 if a GET of it is answered with 200, else 1; a container's health check.

The standard library only: it runs every few seconds.
"""

import sys
from urllib.request import urlopen

with urlopen(sys.argv[1], timeout=8):  # noqa: S310 -- raises, and so gives 1
    pass
