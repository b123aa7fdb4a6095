"""Glue's answers have what Trino's Glue client needs."""

from __future__ import annotations

from region import Region


def test_answers_have_the_members_that_glue_always_returns(region: Region) -> None:
    glue = region.client("glue")
    glue.create_database(DatabaseInput={"Name": "complete"})
    table = {"Name": "t", "StorageDescriptor": {"Location": "s3://b/t/"}, "PartitionKeys": [{"Name": "dt"}]}
    glue.create_table(DatabaseName="complete", TableInput=table)
    partition = {"Values": ["1"], "StorageDescriptor": {"Location": "s3://b/t/1/", "NumberOfBuckets": 3}}
    glue.create_partition(DatabaseName="complete", TableName="t", PartitionInput=partition)

    stored = glue.get_table(DatabaseName="complete", Name="t")["Table"]["StorageDescriptor"]
    assert stored == {
        "Location": "s3://b/t/", "Compressed": False, "NumberOfBuckets": 0, "StoredAsSubDirectories": False
    }  # fmt: skip
    found = glue.batch_get_partition(DatabaseName="complete", TableName="t", PartitionsToGet=[{"Values": ["1"]}])
    assert found["UnprocessedKeys"] == []
    assert found["Partitions"][0]["StorageDescriptor"]["NumberOfBuckets"] == 3
