"""What the commands of `tsir` do; `tsir.cli` declares them. Imported when a command runs, so that `tsir --help` stays quick."""
