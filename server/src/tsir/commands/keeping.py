"""`tsir backup` and `tsir restore`. A backup asks the server that holds DATA_DIR, or opens the library itself."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from tsir.commands import remote
from tsir.commands.stock import check
from tsir.commands.terminal import say, show
from tsir.library.library import Library
from tsir.services import backup as service
from tsir.services.views import BackupOut
from tsir.settings import Settings


def backup(settings: Settings, file: Path | None, *, uploads: bool, pictures: bool) -> None:
    """Write an archive, and print what it holds."""
    path = (file or Path(f"tsir-{date.today().isoformat()}.zip")).expanduser().absolute()
    if server := remote.find(settings):
        say(f"The server at {server.url} writes it.")
        done = server.backup(path, uploads=uploads, pictures=pictures)
    else:
        with Library.open(settings) as library:
            done = BackupOut.of(path, service.backup(library, path, uploads=uploads, pictures=pictures))
    show(f"Written: {done.file}" + ("" if path.suffix == ".zip" else " (a ZIP, whatever its name)"))
    for sentence in done.said:
        show(sentence)


def restore(settings: Settings, file: Path) -> bool:
    """Bring an archive or a catalog back, and print what came. Returns whether all is well."""
    if service.is_catalog(file):
        if before := Library.restore_catalog(settings, file):
            show(f"The catalog of before lies at {before}.")
        show(f"Restored: the catalog of {file.name}. What differs from the vectors and files of now:")
        return check(settings, repair=False, as_json=False)
    with Library.open(settings) as library:
        held = service.restore(library, file)
    show(f"Restored: {', '.join(held.collections)}")
    for sentence in service.restored(held):
        show(sentence)
    return True
