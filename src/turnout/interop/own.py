"""What doors have for themselves, and others leave alone."""

from typing import Final

QUICK_START: Final = "quick-start"
"""The model whose versions the quick start calls models."""
