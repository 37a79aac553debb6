"""How fast is the sampler, and how fast is everybody else? Cases, peers, the gate of parity, timing, results and their tables.

Inside the package, not in benchmarks/, so that whoever installs a wheel can measure on the machine that counts: their own.
"""

from .results import Row as Row
from .results import Suite as Suite
from .results import read as read
from .run import run as run
