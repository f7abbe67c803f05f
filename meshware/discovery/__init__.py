"""Where endpoints come from when the settings do not list them. `Endpoints` is what a discovery gives."""

from __future__ import annotations

from meshware.core.policy import Endpoints

__all__ = ["Endpoints"]
