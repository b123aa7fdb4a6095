"""The demonstration: put events into the bucket, run the workflows, show what came out."""

import sys
from pathlib import Path

# The library that the images share is not installed: the containers' folder is put on the path, as in the images.
sys.path.insert(1, str(Path(__file__).parent.parent / "containers"))
