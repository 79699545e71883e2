"""``answers.py URL``: 0 if a GET of it is answered with 200, else 1; the health check of a container.

The standard library only: it runs every few seconds.
"""

import sys
from urllib.request import urlopen

with urlopen(sys.argv[1], timeout=8):  # noqa: S310 -- raises, and so gives 1
    pass
