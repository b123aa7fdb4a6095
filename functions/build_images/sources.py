"""Sources of an image, as a tag and as an archive.

The tag is a digest of everything that goes into the image: its Dockerfile, what the Dockerfile copies and the base
image. Equal contents have equal tags wherever they are built.
"""

from __future__ import annotations

import hashlib
import io
import shlex
import zipfile
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

TAG_CHARACTERS = 16
NEVER_SENT = ("**/__pycache__", "**/*.pyc")


def image_tag(containers: Path, image: str, base_image: str = "") -> str:
    """Return the tag of an image.

    Parameters
    ----------
    containers
        Folder with the packages and ``<image>/Dockerfile``: the build context.
    base_image
        Replaces the base image of the Dockerfile, unless empty.
    """
    dockerfile = containers / image / "Dockerfile"
    digest = hashlib.sha256(f"{base_image}\0".encode() + dockerfile.read_bytes())
    ignored = ignored_patterns(containers)
    for source in copied_sources(dockerfile):
        for file in files_below(containers, source, ignored):
            digest.update(f"\0{file}\0".encode() + (containers / file).read_bytes())
    return digest.hexdigest()[:TAG_CHARACTERS]


def copied_sources(dockerfile: Path) -> list[str]:
    """Return the paths that a Dockerfile copies from its build context, in order."""
    lines = dockerfile.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    commands = [shlex.split(line, comments=True) for line in lines if line.startswith("COPY ")]
    return [word for command in commands for word in command[1:-1] if not word.startswith("--")]


def ignored_patterns(containers: Path) -> list[str]:
    """Read ``.dockerignore``.

    Raises
    ------
    ValueError
        A pattern is not of the form ``**/name``, the only supported one.
    """
    lines = (containers / ".dockerignore").read_text(encoding="utf-8").split()
    if strange := [line for line in lines if not line.startswith("**/")]:
        raise ValueError(f".dockerignore has the pattern {strange[0]!r}. Write it as **/name.")
    return lines


def files_below(containers: Path, source: str, ignored: Sequence[str]) -> Iterator[str]:
    """Yield a file, or the files of a folder, as sorted paths relative to the build context; ignored ones are left out.

    Raises
    ------
    FileNotFoundError
        The source does not exist.
    """
    start = containers / source
    if not start.exists():
        raise FileNotFoundError(f"{source} is copied by a Dockerfile, but does not exist in {containers}")
    for file in sorted([start] if start.is_file() else start.rglob("*")):
        relative = file.relative_to(containers)
        names = [pattern.removeprefix("**/") for pattern in ignored]
        if file.is_file() and not any(fnmatch(part, name) for part in relative.parts for name in names):
            yield relative.as_posix()


def source_archive(containers: Path) -> bytes:
    """Return the build context as a zip archive; the same files give the same bytes."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for file in files_below(containers, ".", NEVER_SENT):
            # Fixed times and permissions: those of the files differ from bundle to bundle.
            entry = zipfile.ZipInfo(file, date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(entry, (containers / file).read_bytes())
    return archive.getvalue()
