"""The program of a function's process: it loads the handler once and calls it for one invocation after another.

It is started as a script without ``site``, so that it can import only the bundle and the packages of Lambda's runtime.
A package that is missing in the bundle is missing here too. Standard input is a socket. The process reads one JSON
object per invocation from it and answers with one; see `sandbox.Sandbox`.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import json
import os
import socket
import sys
import time
import traceback
import types
from collections.abc import Sequence
from functools import cache
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

RUNTIME_PACKAGES = frozenset({"boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3"})
"""The packages that the Python runtimes of Lambda include: the SDK and its dependencies."""


class RuntimePackages(MetaPathFinder):
    """Finds the SDK in the local environment. It is the last finder, so that a bundle may bring its own SDK."""

    def __init__(self, installed: list[str]) -> None:
        self.installed = installed

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find a top-level package of the runtime."""
        if path is not None or name not in RUNTIME_PACKAGES:
            return None
        return importlib.machinery.PathFinder.find_spec(name, self.installed, target)


class InstalledInsteadOfForeign(MetaPathFinder):
    """Finds the installed package if the bundle's is compiled for another interpreter. It is the first finder.

    The bundle is built for Lambda's Python and system. Pure Python runs here as it is, but compiled modules may not.
    """

    def __init__(self, bundle: Path, installed: list[str]) -> None:
        self.bundle, self.installed = bundle, installed

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find a top-level package that cannot be loaded from the bundle."""
        if path is not None or not self._is_foreign(name):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, self.installed, target)
        if spec is not None:
            print(
                f"[localaws] {name}: the bundle has it for another Python than this {sys.version_info.major}."
                f"{sys.version_info.minor}; the installed one is used instead."
            )
        return spec

    def _is_foreign(self, name: str) -> bool:
        package = self.bundle / name
        libraries = [*package.rglob("*.so"), *package.rglob("*.pyd")] if package.is_dir() else []
        libraries += self.bundle.glob(f"{name}.*.so")
        return bool(libraries) and not any(
            library.name[library.name.index(".") :] in importlib.machinery.EXTENSION_SUFFIXES for library in libraries
        )


class Context:
    """The context object: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html."""

    def __init__(self, invocation: dict[str, Any]) -> None:
        self.function_name: str = invocation["function_name"]
        self.function_version: str = invocation["function_version"]
        self.invoked_function_arn: str = invocation["function_arn"]
        self.memory_limit_in_mb: str = invocation["memory_mb"]
        self.aws_request_id: str = invocation["request_id"]
        self.log_group_name: str = invocation["log_group"]
        self.log_stream_name: str = invocation["log_stream"]
        self.identity = types.SimpleNamespace(cognito_identity_id=None, cognito_identity_pool_id=None)
        self.client_context = None
        self._deadline: float = invocation["deadline"]

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left until the function times out."""
        return max(0, int((self._deadline - time.time()) * 1000))


class RuntimeFailure(Exception):  # noqa: N818 - the name in Lambda
    """An error of the runtime: the module or handler does not exist, or the result is not JSON."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = f"Runtime.{kind}"


@cache
def load_handler(name: str) -> Any:
    """Import the module of ``module.function`` and return the function."""
    module_name, _, function_name = name.rpartition(".")
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        traceback.print_exc()
        raise RuntimeFailure("ImportModuleError", f"Unable to import module '{module_name}': {error}") from error
    except SyntaxError as error:
        raise RuntimeFailure("UserCodeSyntaxError", f"Syntax error in module '{module_name}': {error}") from error
    if not hasattr(module, function_name):
        raise RuntimeFailure("HandlerNotFound", f"Handler '{function_name}' missing on module '{module_name}'")
    return getattr(module, function_name)


def run(invocation: dict[str, Any]) -> dict[str, Any]:
    """Call the handler and return ``{"result": text}`` or ``{"error": {...}}`` as Lambda's runtime does."""
    try:
        handler = load_handler(invocation["handler"])
        result = handler(json.loads(invocation["event"]), Context(invocation))
        try:
            return {"result": json.dumps(result)}
        except (TypeError, ValueError) as error:
            raise RuntimeFailure("MarshalError", f"Unable to marshal response: {error}") from error
    except BaseException as error:  # noqa: BLE001 - sys.exit in the handler is a failed invocation too
        kind = error.kind if isinstance(error, RuntimeFailure) else type(error).__name__
        if not isinstance(error, RuntimeFailure):
            traceback.print_exc()
        print(f"[ERROR] {kind}: {error}")
        return {
            "error": {
                "errorMessage": str(error),
                "errorType": kind,
                "requestId": invocation["request_id"],
                "stackTrace": traceback.format_tb(error.__traceback__)[1:],
            },
            # After sys.exit Lambda starts a new process.
            "ends": not isinstance(error, Exception),
        }


def main() -> None:
    """Answer invocations until the region closes the socket."""
    bundle, installed = Path(sys.argv[1]), sys.argv[2:]
    sys.argv[1:] = []
    control = socket.socket(fileno=os.dup(0)).makefile("rw", encoding="utf-8")
    # The handler must not read the invocations.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.path.insert(0, str(bundle))
    sys.meta_path.insert(0, InstalledInsteadOfForeign(bundle, installed))
    sys.meta_path.append(RuntimePackages(installed))
    for line in control:
        outcome = run(json.loads(line))
        sys.stdout.flush()
        sys.stderr.flush()
        control.write(json.dumps(outcome) + "\n")
        control.flush()
        if outcome.get("ends"):
            break


if __name__ == "__main__":
    main()
