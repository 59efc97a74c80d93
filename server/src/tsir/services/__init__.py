"""The use cases: what the API, the command line and programs ask for. Opening and closing the whole."""
