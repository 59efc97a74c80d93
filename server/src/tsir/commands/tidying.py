"""Commands on what a library keeps and throws away: collections, single pictures, the trash."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import typer

from tsir.commands.desk import desk
from tsir.commands.stock import ended_well
from tsir.commands.terminal import following, print_json, report, say, show
from tsir.errors import InvalidInput, NotFound
from tsir.services.imports import own_folder
from tsir.services.views import RemovedOut
from tsir.settings import Settings


def list_collections(settings: Settings, *, as_json: bool) -> None:
    """Print all collections with their counts."""
    with desk(settings) as asked:
        found = asked.collections()
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    for one in found.collections:
        more = [f"{count:,} {what}" for what in ("pending", "missing", "excluded") if (count := getattr(one, what))]
        show(f"{one.name}: {', '.join([f'{one.count:,} pictures', *more])}; {one.encoder.name}")


def rename(settings: Settings, name: str, to: str) -> None:
    """Give a collection another name."""
    with desk(settings) as asked:
        asked.rename(name, to)
    show(f"{name} is called {to} now.")


def drop(settings: Settings, name: str, *, sure: bool, as_json: bool) -> None:
    """Delete a collection, after a question unless `sure`."""
    with desk(settings) as asked:
        if not sure:
            copies = asked.only_copies(name)
            said = f"{name} has {copies.pictures:,} pictures"
            if copies.only_copies:
                said += f"; {copies.only_copies:,} were uploaded and lie nowhere else: they go to the trash for {settings.trash_days} days"
            typer.confirm(f"{said}. Drop it?", abort=True, err=True)
        done = asked.drop(name)
    _tell_removed(done, settings, as_json=as_json)


def relocate(settings: Settings, old: Path, new: Path, *, as_json: bool) -> None:
    """Tell the library of a folder that was moved."""
    new = own_folder(new)
    try:
        named = old.expanduser().absolute()
        old = named.resolve()  # it need not be there
        if old == new:  # a link was left in its place
            old = named.parent.resolve() / named.name
    except (OSError, RuntimeError) as error:
        raise InvalidInput(f"{str(old)!r} cannot be resolved: {error}") from error
    with desk(settings) as asked:
        done = asked.relocate(old, new)
    if as_json:
        print_json(done.model_dump(mode="json"))
        return
    show(f"{_pictures(done.pictures, 'is', 'are')} known in {new} now.")
    if done.missing:
        are = "is" if done.missing == 1 else "are"
        show(f"{done.missing:,} of the files {are} not there; `tsir load {shlex.quote(str(new))}` looks for them by their content.")


def remove(settings: Settings, what: Sequence[str], collection: str, *, as_json: bool) -> None:
    """Take pictures out of a collection, given by their numbers or paths."""
    ids = [int(one) for one in what if one.isascii() and one.isdigit()]
    paths = [str(Path(one).expanduser().absolute()) for one in what if not (one.isascii() and one.isdigit())]
    with desk(settings) as asked:
        done = asked.remove(collection, ids, paths)
    if not done.pictures:
        raise NotFound(f"{collection!r} has none of these pictures: {', '.join(what)}.")
    _tell_removed(done, settings, as_json=as_json)


def duplicates(settings: Settings, collection: str, *, trash: bool, as_json: bool) -> None:
    """Print the groups of pictures that are one; with `trash`, take all but the best of each out of the collection."""
    with desk(settings) as asked:
        groups = [group.images for group in asked.duplicates(collection).groups]
        others = [image for group in groups for image in group[1:]]
        done = asked.remove(collection, [image.id for image in others], []) if trash and others else None
    if as_json:
        listed = [[image.model_dump(mode="json") for image in group] for group in groups]
        print_json({"groups": listed, "removed": None if done is None else done.model_dump(mode="json")})
        return
    for group in groups:
        for rank, image in enumerate(group):
            mark = "keep" if rank == 0 else "out" if trash else "same"
            show(f"{mark:>4}  {image.id:8}  {image.width} x {image.height}  {image.bytes / 1e6:.1f} MB  {image.path}")
        show("")
    if done is not None:
        _tell_removed(done, settings, as_json=False)
    elif groups:
        say(f"{len(groups):,} pictures lie here {len(groups) + len(others):,} times. `tsir duplicates --trash` keeps the best of each.")
    else:
        say("No picture is here twice.")


def _tell_removed(done: RemovedOut, settings: Settings, *, as_json: bool) -> None:
    if as_json:
        print_json(done.model_dump(mode="json"))
        return
    show(f"{_pictures(done.pictures, 'was', 'were')} taken out; files in folders stay where they are.")
    if done.only_copies:
        show(f"{done.only_copies:,} of them lay nowhere else: what was uploaded is in the trash for {settings.trash_days} days.")
    if done.trash:
        show(f"`tsir trash restore {done.trash}` brings them back.")


def list_excluded(settings: Settings, collection: str, *, as_json: bool) -> None:
    """Print the pictures that were taken out and that imports leave out."""
    with desk(settings) as asked:
        found = list(asked.excluded(collection))
    if as_json:
        print_json([image.model_dump(mode="json") for image in found])
        return
    for image in found:
        show(f"{image.id:8}  {image.path}")
    say("`tsir load FOLDER --again` brings them back." if found else "None was taken out.")


def list_trash(settings: Settings, *, as_json: bool) -> None:
    """Print what lies in the trash."""
    with desk(settings) as asked:
        found = asked.trash()
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    for one in found.entries:
        names = ", ".join(one.names) + (", ..." if one.pictures > len(one.names) else "")
        where = f" of {one.collection}" if one.collection else ""
        only = f", {one.only_copies:,} of them nowhere else" if one.only_copies and one.why != "stray" else ""
        show(f"{one.id}  {one.why}{where} until {one.gone_at:%Y-%m-%d}: {one.pictures:,} ({names}){only}")
    show(f"{found.bytes / 2**20:,.2f} MB." if found.entries else "The trash is empty.")


def restore(settings: Settings, ids: Sequence[str], *, newest: bool, as_json: bool) -> bool:
    """Bring entries of the trash back, or the newest one. Returns whether all ended well."""
    if bool(ids) == newest:
        raise InvalidInput("Say which entries to restore, as `tsir trash list` names them, or --last.")
    well = True
    with desk(settings) as asked:
        if newest:
            ids = [entry.id for entry in asked.trash().entries[:1]]
            if not ids:
                raise InvalidInput("The trash is empty.")
        dropped = {entry.id for entry in asked.trash().entries if entry.why == "dropped"}
        for id in ids:
            came = asked.restore(id)
            if as_json:
                print_json(came.model_dump(mode="json"))
            else:
                show(f"{_pictures(came.pictures, 'is', 'are')} back in {came.collection}.")
                if came.lost:
                    show(f"{came.lost:,} could not come back: their files are gone.")
                if id in dropped:
                    show("These were uploaded; what lay in folders comes back with an import: `tsir load FOLDER`.")
            if came.job is not None:
                with following(f"Encoding pictures of {came.collection}", silent=as_json) as tell:
                    job = asked.follow(came.job, tell)
                report(job, as_json=as_json)
                well = well and ended_well(job)
    return well


def empty(settings: Settings, ids: Sequence[str], *, sure: bool, as_json: bool) -> None:
    """Delete entries of the trash (none named: all) for good, after a question unless `sure`."""
    if not sure:
        typer.confirm("What is deleted from the trash is gone for good. Go on?", abort=True, err=True)
    with desk(settings) as asked:
        for id in ids:
            asked.delete_thrown(id)
        if not ids:
            done = asked.empty_trash()
            if as_json:
                print_json(done.model_dump(mode="json"))
            else:
                show(f"{done.files:,} files are gone.")


def _pictures(count: int, one: str, many: str) -> str:
    return f"1 picture {one}" if count == 1 else f"{count:,} pictures {many}"
