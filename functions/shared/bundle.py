"""Files that travel with the handlers. A Lambda bundle has the layout of the repository."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SQL = ROOT / "sql"
STATE_MACHINES = ROOT / "statemachine"
CONTAINERS = ROOT / "containers"
"""Whole only in the bundle of build_images."""
EXPORTS = CONTAINERS / "visitcast" / "events" / "exports.json"
