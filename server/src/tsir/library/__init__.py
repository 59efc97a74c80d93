"""What is stored: catalog rows, vectors, files. Knows no encoder and no HTTP."""
