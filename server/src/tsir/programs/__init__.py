"""tsir for programs and notebooks: a library on this computer, or a server's, with the same methods. `import tsir` offers what is here."""
