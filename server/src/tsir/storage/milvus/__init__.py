"""Vectors in Milvus: embedded (Milvus Lite), standalone or a cluster."""
