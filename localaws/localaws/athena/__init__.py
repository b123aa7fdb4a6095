"""Athena: queries that run on DuckDB over the tables of the region's Glue catalog and S3."""
