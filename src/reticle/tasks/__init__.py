"""What a network may be trained for. Read ``base.py``; each task is one file, found by its name in ``TASKS``."""

from . import classification as classification  # each registers its task
from . import colocalisation as colocalisation
from . import sequence as sequence
from .base import TASKS as TASKS
from .base import AbstractTask as AbstractTask
from .base import build_task as build_task
