"""Print a SAM template as JSON, its YAML anchors and merge keys resolved.

checkov takes a key that replaces one of a merged mapping for a duplicate: it reports a parsing error, scans nothing and
succeeds.

Usage: python tools/template_json.py template.yaml > template.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from samtranslator.yaml_helper import yaml_parse


def main() -> None:
    """Print the template that the command line names."""
    print(json.dumps(yaml_parse(Path(sys.argv[1]).read_text(encoding="utf-8")), indent=1, default=str))


if __name__ == "__main__":
    main()
