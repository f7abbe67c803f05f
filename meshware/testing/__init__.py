"""What tests of meshware and of its plugins share."""

from __future__ import annotations

from meshware.testing.strategies import check_strategy

__all__ = ["check_strategy"]
