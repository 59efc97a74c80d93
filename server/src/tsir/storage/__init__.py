"""What is stored where: `sql` (the catalog), `milvus` (vectors), and `filters`, the one table of fields that both serve."""
