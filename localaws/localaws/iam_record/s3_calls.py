"""Calls of S3, and of KMS on behalf of the caller if a bucket is encrypted with a customer managed key.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree  # nosec B405 # see its use

from localaws.iam_record.record import Call, active

READS = frozenset({"s3:GetObject"})
WRITES = frozenset({"s3:PutObject"})
LISTS = frozenset({"s3:ListBucket", "s3:ListBucketVersions"})


def record(action: str, bucket: str, key: str = "") -> None:
    """Record a call that the region makes without HTTP."""
    active.add(calls(action, bucket, key))


def calls(action: str, bucket: str, key: str = "") -> Iterator[Call]:
    """Yield the calls that one action on a bucket or an object needs."""
    yield Call(action, f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}")
    if action in READS | WRITES and (kms_key := _default_key(bucket)):
        region = kms_key.split(":")[3]
        context = {"kms:ViaService": f"s3.{region}.amazonaws.com"}
        yield Call("kms:GenerateDataKey" if action in WRITES else "kms:Decrypt", kms_key, context)


def of_request(method: str, path: str, words: Mapping[str, list[str]], headers: Mapping[str, str]) -> Iterator[Call]:
    """Yield the calls that a request to S3 needs.

    Parameters
    ----------
    path
        Path of the request, beginning with the bucket.
    words
        The query string, including parameters without a value.
    headers
        The WSGI environment. Only the source of a copy is read.
    """
    bucket, _, key = path.strip("/").partition("/")
    if not key:
        action = _bucket_action(method, words)
        context = {"s3:prefix": words.get("prefix", [""])[0]} if action in LISTS and method == "GET" else {}
        yield Call(action, f"arn:aws:s3:::{bucket}", context)
    elif source := headers.get("HTTP_X_AMZ_COPY_SOURCE"):
        source_bucket, _, source_key = unquote(source.partition("?")[0]).strip("/").partition("/")
        yield from calls("s3:GetObject", source_bucket, source_key)
        yield from calls("s3:PutObject", bucket, key)
        if "partNumber" not in words and headers.get("HTTP_X_AMZ_TAGGING_DIRECTIVE", "COPY") == "COPY":
            yield from calls("s3:GetObjectTagging", source_bucket, source_key)
    else:
        yield from calls(_object_action(method, words), bucket, key)
        # A multipart upload decrypts its parts to join them (S3 User Guide, "Multipart upload and KMS").
        if "uploadId" in words and method in ("PUT", "POST") and (kms_key := _default_key(bucket)):
            yield Call("kms:Decrypt", kms_key, {"kms:ViaService": f"s3.{kms_key.split(':')[3]}.amazonaws.com"})


def of_batch_deletion(path: str, body: bytes) -> Iterator[Call]:
    """Yield the calls that DeleteObjects needs: one for each object."""
    bucket = path.strip("/")
    for item in ElementTree.fromstring(body).iter():  # nosec B314 # only programs on this machine reach the region
        if item.tag.rpartition("}")[2] == "Object":
            named = {part.tag.rpartition("}")[2]: part.text or "" for part in item}
            yield from calls(f"s3:DeleteObject{'Version' if 'VersionId' in named else ''}", bucket, named["Key"])


def _bucket_action(method: str, words: Mapping[str, Any]) -> str:
    if "location" in words:
        return "s3:GetBucketLocation"
    if "versions" in words:
        return "s3:ListBucketVersions"
    if "uploads" in words:
        return "s3:ListBucketMultipartUploads"
    return "s3:ListBucket" if method in ("GET", "HEAD") else f"s3:{method.title()}Bucket"


def _object_action(method: str, words: Mapping[str, Any]) -> str:
    if "tagging" in words:
        return {"GET": "s3:GetObjectTagging", "PUT": "s3:PutObjectTagging"}.get(method, "s3:DeleteObjectTagging")
    if "uploadId" in words and method == "DELETE":
        return "s3:AbortMultipartUpload"
    if "uploadId" in words and method == "GET":
        return "s3:ListMultipartUploadParts"
    version = "Version" if "versionId" in words else ""
    return {
        "GET": f"s3:GetObject{version}",
        "HEAD": f"s3:GetObject{version}",
        "DELETE": f"s3:DeleteObject{version}",
    }.get(method, "s3:PutObject")


def _default_key(bucket: str) -> str:
    """Return the ARN of the key that encrypts a bucket by default; empty if there is none."""
    from moto.s3.models import s3_backends

    # A bucket may belong to any account.
    for accounts in list(s3_backends.values()):
        for backend in list(accounts.values()):
            if (found := backend.buckets.get(bucket)) is not None:
                rule = (found.encryption or {}).get("Rule", {})
                default = (rule[0] if isinstance(rule, list) else rule).get("ApplyServerSideEncryptionByDefault", {})
                return str(default.get("KMSMasterKeyID") or "")
    return ""
