"""Athena on this machine: real SQL on DuckDB over the tables of the region's Glue catalog and S3."""
