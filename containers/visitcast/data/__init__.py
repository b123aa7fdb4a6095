"""Visits: columns and rules, readers of CSV and Parquet, the dataset, and the split by date."""
