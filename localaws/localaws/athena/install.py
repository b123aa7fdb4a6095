"""Put this Athena in the place of moto's.

These are private parts of moto, which is why its version is pinned exactly; a test asserts that each still exists.
"""

from __future__ import annotations

import shutil

import moto.athena.models
import moto.athena.urls

from localaws.athena.api import LocalAthenaResponse
from localaws.athena.backend import LocalAthenaBackend
from localaws.settings import Settings


def install(settings: Settings) -> None:
    """Make moto's server answer Athena's API with this one. Call it before the server gets its first request.

    Parameters
    ----------
    settings
        `home` holds copies of objects below ``athena/``; the folder is emptied now.
    """
    folder = settings.home / "athena"
    shutil.rmtree(folder, ignore_errors=True)
    LocalAthenaBackend.settings = settings
    # moto derives a backend's URL module from `__module__`.
    LocalAthenaBackend.__module__ = "moto.athena.models"
    # A BackendDict creates its backends on first use, from this attribute.
    moto.athena.models.athena_backends.backend = LocalAthenaBackend
    # The server reads the routes when it builds the service's application, at the first request.
    moto.athena.urls.url_paths = {"{0}/$": LocalAthenaResponse.dispatch}
