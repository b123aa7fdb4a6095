"""One build: it downloads its source, runs its commands in a process, and keeps its phases and log."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from moto.core.utils import iso_8601_datetime_with_milliseconds as now

from localaws import log_streams, processes
from localaws.clients import client
from localaws.codebuild import container_tools
from localaws.codebuild.buildspec import PHASES, Buildspec, BuildspecError, read, script
from localaws.identity import acting_as
from localaws.settings import Settings

TOOLS = Path(container_tools.__file__)
BEFORE = ("SUBMITTED", "QUEUED", "PROVISIONING")
AFTER = ("UPLOAD_ARTIFACTS", "FINALIZING")


class Build:
    """A running or finished build.

    Attributes
    ----------
    record
        Description of the build, as in the answer of BatchGetBuilds.
    """

    def __init__(self, settings: Settings, region: str, record: dict[str, Any]) -> None:
        self.record = record
        self._settings, self._region = settings, region
        self._folder = settings.home / "builds" / record["id"].replace(":", "-")
        self._stopped = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run the build in a thread of its own."""
        threading.Thread(target=self._run, name=f"build-{self.record['id']}", daemon=True).start()

    def stop(self) -> None:
        """Stop the build."""
        self._stopped.set()
        if self._process is not None:
            processes.stop(self._process, 0)

    def _run(self) -> None:
        with acting_as(self.record["serviceRole"]):
            status = "FAULT"  # what CodeBuild calls an error of its own
            try:
                status = self._work()
            finally:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._finish(status)

    def _work(self) -> str:
        for phase in BEFORE:
            self._phase(phase)
        try:
            spec = self._fetch(self._folder / "src")
        except (BuildspecError, BotoCoreError, ClientError, zipfile.BadZipFile) as error:
            self._phase("DOWNLOAD_SOURCE", "FAILED", str(error))
            return "FAILED"
        self._phase("DOWNLOAD_SOURCE")
        status = self._execute(spec)
        for phase in AFTER:
            self._phase(phase)
        return status

    def _fetch(self, source: Path) -> Buildspec:
        """Unpack the source and read the buildspec."""
        source.mkdir(parents=True)
        kind, location = self.record["source"]["type"], self.record["source"].get("location", "")
        if kind == "S3":
            bucket, _, key = location.partition("/")
            body = client(self._settings, "s3", self._region).get_object(Bucket=bucket, Key=key)["Body"].read()
            with zipfile.ZipFile(io.BytesIO(body)) as archive:
                archive.extractall(source)
        elif kind != "NO_SOURCE":
            raise BuildspecError(f"The local region supports sources of type S3 and NO_SOURCE, not {kind}")
        return read(self.record["source"].get("buildspec", ""), source)

    def _execute(self, spec: Buildspec) -> str:
        """Run the commands and return the status of the build."""
        outcome, log = self._folder / "outcome", self._folder / "log"
        outcome.touch()
        (self._folder / "build.sh").write_text(script(spec, outcome), encoding="utf-8")
        self._process = processes.spawn(
            ["/bin/sh", str(self._folder / "build.sh")],
            cwd=self._folder / "src",
            environment=self._environment(spec.variables),
            log_path=log,
            kind="build",
            name=self.record["id"],
        )
        if self._stopped.is_set():  # the build was stopped before it had a process
            processes.stop(self._process, 0)
        timed_out = False
        try:
            self._process.wait(self.record["timeoutInMinutes"] * 60)
        except subprocess.TimeoutExpired:
            timed_out = True
        code = processes.stop(self._process, 0)
        place = self.record["logs"]
        text = log.read_text(encoding="utf-8", errors="replace")
        log_streams.append(self._settings, self._region, place["groupName"], place["streamName"], text)
        interrupted = "STOPPED" if self._stopped.is_set() else "TIMED_OUT" if timed_out else ""
        self._keep_phases(spec, outcome.read_text(encoding="utf-8").splitlines(), interrupted)
        return interrupted or ("SUCCEEDED" if code == 0 else "FAILED")

    def _keep_phases(self, spec: Buildspec, outcome: list[str], interrupted: str) -> None:
        begun = {line.split(" ", 1)[0]: line.split(" ", 2)[1:] for line in outcome}
        for phase in PHASES:
            if failure := begun.get(phase):
                message = f"Error while executing command: {failure[1]}. Reason: exit status {failure[0]}"
                self._phase(phase.upper(), "FAILED", message)
            elif phase in begun or not spec.commands[phase]:
                self._phase(phase.upper())
            elif interrupted:
                self._phase(phase.upper(), interrupted, "Build has timed out." if interrupted == "TIMED_OUT" else "")
                return
            if begun.get(phase) and phase != "build":
                return

    def _environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        tools = self._folder / "bin"
        tools.mkdir()
        for name in ("docker", "aws"):
            wrapper = tools / name
            wrapper.write_text(f'#!/bin/sh\nexec "{sys.executable}" -E -S "{TOOLS}" {name} "$@"\n', encoding="utf-8")
            wrapper.chmod(0o755)
        environment = self._settings.child_environment()
        return {
            **environment,
            "PATH": f"{tools}{os.pathsep}{environment.get('PATH', os.defpath)}",
            "CODEBUILD_BUILD_ID": self.record["id"],
            "CODEBUILD_BUILD_ARN": self.record["arn"],
            "CODEBUILD_SRC_DIR": str(self._folder / "src"),
            container_tools.IMAGES: str(self._folder / "images"),
            **variables,
            **{item["name"]: item["value"] for item in self.record["environment"].get("environmentVariables", [])},
        }

    def _phase(self, name: str, status: str = "SUCCEEDED", message: str = "") -> None:
        code = "COMMAND_EXECUTION_ERROR" if status == "FAILED" else ""
        self.record["currentPhase"] = name
        self.record["phases"].append(
            {
                "phaseType": name,
                "phaseStatus": status,
                "startTime": now(),
                "endTime": now(),
                "durationInSeconds": 0,
                "contexts": [{"statusCode": code, "message": message}],
            }
        )

    def _finish(self, status: str) -> None:
        self.record["phases"].append({"phaseType": "COMPLETED", "startTime": now()})
        self.record.update(currentPhase="COMPLETED", endTime=now(), buildComplete=True, buildStatus=status)
