"""Who asks, where a test needs more than one person."""

from collections.abc import Callable
from contextlib import AbstractContextManager

As = Callable[[str], AbstractContextManager[None]]
"""`with acting("kim"):` lets the requests inside be Kim's."""
