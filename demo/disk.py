"""Whether a full disk may be why something failed: jobs and tools write into files, and seldom say so."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final

NEEDED_BYTES: Final = 100 * 2**20
"""What a demo writes: bundles, job folders and logs."""


def hint() -> str:
    """Return a sentence about disks with too little room; empty if there are none."""
    free = {folder: shutil.disk_usage(folder).free for folder in (Path.cwd(), Path(tempfile.gettempdir()))}
    full = [f"{folder} has only {left / 2**20:,.0f} MB left" for folder, left in free.items() if left < NEEDED_BYTES]
    return (
        f"The disk may be full: {', '.join(full)}, and a demo writes some {NEEDED_BYTES / 2**20:,.0f} MB."
        if full
        else ""
    )
