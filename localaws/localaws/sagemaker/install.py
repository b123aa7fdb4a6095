"""Put this SageMaker in the place of moto's.

These are private parts of moto, which is why its version is pinned exactly; a test asserts that each still exists.
"""

from __future__ import annotations

import shutil

import moto.sagemaker.models
import moto.sagemaker.urls
import moto.sagemakerruntime.urls

from localaws.sagemaker.api import LocalSageMakerResponse
from localaws.sagemaker.backend import LocalSageMakerBackend
from localaws.sagemaker.runtime_api import LocalSageMakerRuntimeResponse
from localaws.settings import Settings


def install(settings: Settings) -> None:
    """Make moto's server answer SageMaker's API with this one. Call it before the server gets its first request.

    Parameters
    ----------
    settings
        `home` holds the folders of jobs and endpoints below ``jobs/`` and ``endpoints/``; both are emptied now.
    """
    for name in ("jobs", "endpoints"):
        shutil.rmtree(settings.home / name, ignore_errors=True)
    LocalSageMakerBackend.settings = settings
    # moto derives a backend's URL module from `__module__`.
    LocalSageMakerBackend.__module__ = "moto.sagemaker.models"
    # A BackendDict creates its backends on first use, from this attribute.
    moto.sagemaker.models.sagemaker_backends.backend = LocalSageMakerBackend
    # The server reads the routes when it builds a service's application, at the first request.
    moto.sagemaker.urls.url_paths = {"{0}/$": LocalSageMakerResponse.dispatch}
    runtime = moto.sagemakerruntime.urls
    runtime.url_paths = {
        path: LocalSageMakerRuntimeResponse.dispatch if path.endswith("/invocations$") else handler
        for path, handler in runtime.url_paths.items()
    }
