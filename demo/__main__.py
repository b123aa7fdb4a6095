"""``python -m demo``."""

import sys

if __name__ == "__main__":
    try:
        # Imported here: the libraries take seconds to load, and a person may change their mind.
        from demo.cli import main

        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Interrupted: nothing was started yet.")
