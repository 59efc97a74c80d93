"""A query -> hits: `query.py` is what was asked, `search.py` what was found. Knows no HTTP."""
