"""The control paths of a local region: faults on demand, and the processes that it runs."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

from patience import patient


def control(home: Path, method: str, path: str, document: Any = None) -> Any:
    """Call a control path of the region in a folder; see "Faults on demand" in localaws/README.md."""
    region = json.loads((home / "region.json").read_text())
    request = urllib.request.Request(
        f"{region['endpoint_url']}/_localaws/{path}",
        data=None if document is None else json.dumps(document).encode(),
        method=method,
        headers={"X-Localaws-Token": region["token"]},
    )
    with urllib.request.urlopen(request, timeout=patient(60)) as response:
        return json.load(response)


def order_fault(home: Path, **fault: Any) -> None:
    """Make something go wrong in the region."""
    control(home, "POST", "faults", fault)
