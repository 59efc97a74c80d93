"""Folders, files and URLs become rows and vectors."""
