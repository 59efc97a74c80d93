"""The command `tsir`. Only declarations: what a command does is imported when it runs."""

from __future__ import annotations

import contextlib
import errno
import functools
import gc
import inspect
import json
import os
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from tsir.encoders.loaded import Encoders
    from tsir.settings import Settings

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
"""numpy's threads wait for the next product of matrices without sleeping, 2^28 turns: after every search they would take a core for a tenth
of a second from the encoder of the next one. Read when numpy is imported; 4 is the least."""


class _Group(TyperGroup):
    """Turns our errors into one line and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        from tsir.errors import TsirError

        try:
            return super().invoke(ctx)
        except TsirError as error:
            from tsir.commands.terminal import say

            say(f"tsir: {error}")
            raise typer.Exit(1) from error
        except BrokenPipeError:  # `tsir search ... | head`: what is left goes nowhere, and the interpreter's last flush succeeds
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except OSError as error:  # a right that lacks, a disk that fails: what nobody below knows more of
            from tsir.commands.terminal import say

            say(f"tsir: {error.filename or 'Something'} cannot be used: {error.strerror or error}.")
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Find your own photos by drawing and typing.",
    epilog="Exit codes: 0 done; 1 it could not be done, and a sentence says why; 2 the command is not used so; 130 stopped by Ctrl-C.",
)
weights_app = typer.Typer(no_args_is_help=True, help="Weights of the models: list, download, verify, convert.")
app.add_typer(weights_app, name="weights")
trash_app = typer.Typer(no_args_is_help=True, help="What was taken out of the library: list it, bring it back, empty it.")
app.add_typer(trash_app, name="trash")
collection_app = typer.Typer(no_args_is_help=True, help="Collections: list, rename, drop.")
app.add_typer(collection_app, name="collection")

DataDir = Annotated[Path | None, typer.Option(help="Catalog, vectors, uploads and caches. Default: DATA_DIR, or ./data.")]
Host = Annotated[str | None, typer.Option(help="Address to listen on. Default: HOST, or 127.0.0.1.")]
Port = Annotated[int | None, typer.Option(help="Port of the API. Default: PORT, or 5000.")]
ClientPort = Annotated[int | None, typer.Option(help="Port of the GUI. Default: CLIENT_PORT, or 3000.")]
ImageRoots = Annotated[str | None, typer.Option(help="Folders that may be imported over HTTP, separated like PATH.")]
Model = Annotated[str | None, typer.Option("--model", "--encoder", help="Encoder, such as lite, task-former or open_clip:ARCH/TAG.")]
Weights = Annotated[str | None, typer.Option(help="Path or address of the encoder's weights, instead of its own.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")]
LogLevel = Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")]
Table = Annotated[str | None, typer.Option("--table", "--collection", help="Collection. Default: DEFAULT_TABLE, or tsir.")]
Sure = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def configured(**flags: Any) -> Settings:
    """Settings from .env, environment and, above both, the flags that were given. Raises InvalidInput naming a bad one."""
    from tsir import settings

    return settings.configured(**flags)


def _working(settings: Settings) -> Settings:
    """For commands that finish: warnings only, unless more was asked for."""
    from tsir import logs

    logs.start(settings.model_copy(update={"log_level": "WARNING"}) if settings.log_level == "INFO" else settings)
    return settings


def _begun(settings: Settings, *, quiet: bool) -> Encoders:
    """For servers: logs, and encoders of which the main one is being loaded while what serves it is imported."""
    from tsir import logs
    from tsir.encoders.loaded import Encoders

    logs.start(settings, quiet=quiet)
    encoders = Encoders(settings)
    encoders.begin()
    return encoders


def _finish(well: bool) -> None:
    if not well:
        raise typer.Exit(1)


@app.command()
def up(
    images: Annotated[Path | None, typer.Option(help="Folder to import at once; it may then be imported over HTTP, too.")] = None,
    samples: Annotated[bool, typer.Option(help="Load the sample pictures into an empty library.")] = True,
    client: Annotated[Path | None, typer.Option(help="Folder of the built GUI.")] = None,
    data_dir: DataDir = None,
    host: Host = None,
    port: Port = None,
    client_port: ClientPort = None,
    image_roots: ImageRoots = None,
    model: Model = None,
    weights: Weights = None,
    device: Device = None,
    log_level: LogLevel = None,
) -> None:
    """Start API and GUI."""
    settings = configured(
        data_dir=data_dir,
        host=host,
        port=port,
        client_port=client_port,
        image_roots=image_roots,
        model=model,
        weights=weights,
        device=device,
        log_level=log_level,
    )
    encoders = _begun(settings, quiet=True)

    from tsir.commands.serve import client_dist, serve
    from tsir.services.imports import own_folder

    if images is not None:
        images = own_folder(images)
        if not settings.roots:
            settings = settings.model_copy(update={"image_roots": json.dumps([str(images)])})
    serve(settings, encoders, dist=client_dist(client), images=images, samples=samples)


@app.command()
def serve(
    data_dir: DataDir = None,
    host: Host = None,
    port: Port = None,
    image_roots: ImageRoots = None,
    model: Model = None,
    weights: Weights = None,
    device: Device = None,
    log_level: LogLevel = None,
) -> None:
    """Start the API alone."""
    settings = configured(
        data_dir=data_dir,
        host=host,
        port=port,
        image_roots=image_roots,
        model=model,
        weights=weights,
        device=device,
        log_level=log_level,
    )
    encoders = _begun(settings, quiet=False)

    from tsir.commands import serve as command

    command.serve(settings, encoders)


@app.command()
def load(
    folder: Annotated[str, typer.Argument(help="Folder with pictures; with --on also a list of paths, and addresses (s3://...).")],
    table: Table = None,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and import whatever changes.")] = False,
    exclude: Annotated[list[str] | None, typer.Option(help="Pattern of what is left out, as .gitignore has it; may be repeated.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Import also what was taken out of the library before.")] = False,
    on: Annotated[str | None, typer.Option(help="Ray cluster whose workers encode: local, auto, HOST:PORT or ray://HOST:PORT.")] = None,
    parts: Annotated[str | None, typer.Option(help="With --on: where made parts lie. Default: DATA_DIR/parts.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="With --on: how many. Default: as many as there is room for.")] = None,
    cores: Annotated[int, typer.Option(min=1, help="With --on: of each worker.")] = 1,
    data_dir: DataDir = None,
    model: Model = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Import a folder; what did not change since the last time is skipped."""
    from tsir.commands import stock
    from tsir.errors import InvalidInput

    settings = _working(configured(data_dir=data_dir, model=model, device=device))
    name = table or settings.default_table
    if on is not None:
        if watch or again:
            raise InvalidInput("--watch and --again do not go together with --on: leave them out.")
        _finish(
            stock.load_on(settings, folder, name, on, parts=parts, workers=workers, cores=cores, exclude=exclude or (), as_json=as_json)
        )
        return
    _finish(stock.load(settings, folder, name, exclude=exclude or (), again=again, watch=watch, as_json=as_json))


class Collapse(str, Enum):
    """Of what to show one."""

    duplicates = "duplicates"
    bursts = "bursts"


class Sort(str, Enum):
    """Orders of hits."""

    relevance = "relevance"
    taken = "taken"
    imported = "imported"


def _completing(choices: tuple[str, ...]) -> Callable[[str], list[str]]:
    return lambda incomplete: [choice for choice in choices if choice.startswith(incomplete)]


@functools.cache
def _filter_options() -> list[Any]:
    """An option for each field of a filter, as typer makes them of a function's arguments."""
    from tsir.storage.filters import conditions

    def fields(**_given: str | None) -> None: ...

    asked = {
        name: typer.Option(
            None,
            f"--{name.replace('_', '-')}",
            help=condition.help,
            rich_help_panel="Filters, all of which must hold (several values with commas)",
            autocompletion=_completing(tuple(condition.kind.choices)),
        )
        for name, condition in conditions().items()
    }
    fields.__annotations__ = dict.fromkeys(asked, str | None)
    fields.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=one, annotation=str | None) for name, one in asked.items()]
    )
    alone = typer.Typer(add_completion=False)
    alone.command()(fields)
    return list(typer.main.get_command(alone).params)


class _Search(TyperCommand):
    """Has an option for each field of a filter, from the table of all fields, which is read when the command is."""

    def get_params(self, ctx: Any) -> list[Any]:
        return [*super().get_params(ctx), *_filter_options()]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """`--table` without a name asks for a table; with one, it names the collection, as in other commands."""
        following = [*args[1:], "-"]
        bare = [one == "--table" and after[:1] in ("", "-") for one, after in zip(args, following, strict=False)]
        named = ["--pictures" if alone else one for one, alone in zip(args, bare, strict=True)]
        left = list(super().parse_args(ctx, named))
        given = {option.name: ctx.params.pop(option.name, None) for option in _filter_options()}
        ctx.meta["filter"] = {name: value for name, value in given.items() if value is not None}
        return left


@app.command(cls=_Search)
def search(
    context: typer.Context,
    query: Annotated[str | None, typer.Argument(help="A line: 'a dog in the snow -people after:2023'.")] = None,
    text: Annotated[str | None, typer.Option(help="What the picture shows.")] = None,
    not_text: Annotated[str | None, typer.Option(help="What it does not show.")] = None,
    sketch: Annotated[Path | None, typer.Option(help="A drawing.")] = None,
    image: Annotated[Path | None, typer.Option(help="A picture that looks like it.")] = None,
    like: Annotated[
        list[str] | None,
        typer.Option(
            help="Id of a picture of the collection that looks like it, or ID@LEFT,TOP,RIGHT,BOTTOM: a part of one. Several count."
        ),
    ] = None,
    not_like: Annotated[list[str] | None, typer.Option(help="The same, of pictures that look unlike it.")] = None,
    topk: Annotated[int | None, typer.Option("--topk", "--limit", min=1, max=1000, help="Number of hits. Default: TOP_K, or 20.")] = None,
    min_relevance: Annotated[float | None, typer.Option(min=0, max=1, help="Leave out pictures that are less likely answers.")] = None,
    collapse: Annotated[Collapse | None, typer.Option(help="Show one of pictures that are one, or that were taken in a row.")] = None,
    sort: Annotated[Sort, typer.Option(help="Order of the best hits.")] = Sort.relevance,
    pictures: Annotated[
        bool,
        typer.Option("--pictures", help="Show a table with thumbnails; `--table` without a name does, too."),
    ] = False,
    page: Annotated[bool, typer.Option("--open", help="Show the hits as a page in the browser.")] = False,
    table: Table = None,
    collections: Annotated[
        str | None, typer.Option(help="Collections that are searched as well, with commas between them; all: all there are.")
    ] = None,
    data_dir: DataDir = None,
    model: Model = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Find pictures: by words, by a drawing, or by both."""
    from tsir.commands import finding

    settings = _working(configured(data_dir=data_dir, model=model, device=device))
    wanted = finding.Wanted(
        query,
        text,
        not_text,
        sketch,
        image,
        like or [],
        not_like or [],
        collections,
        topk or settings.top_k,
        min_relevance,
        None if collapse is None else collapse.value,
        sort.value,
        context.meta.get("filter", {}),
    )
    finding.find(settings, table or settings.default_table, wanted, table=pictures, page=page, as_json=as_json)


@app.command()
def duplicates(
    trash: Annotated[
        bool, typer.Option("--trash", help="Keep the best of each group, and take the others out; `tsir trash restore --last` undoes it.")
    ] = False,
    table: Table = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Find pictures that are one: resized, recompressed, cropped a little, mirrored.

    The best of a group comes first: it says most of how it was taken, then has most pixels. With --trash, uploaded copies go to the trash;
    files in your folders are never touched: the library forgets those copies, and imports leave them out from now on.
    """
    from tsir.commands import tidying

    settings = _working(configured(data_dir=data_dir))
    tidying.duplicates(settings, table or settings.default_table, trash=trash, as_json=as_json)


@app.command("eval")
def evaluate(
    images: Annotated[Path, typer.Argument(help="Folder of the gallery.")],
    queries: Annotated[Path, typer.Argument(help="QUERIES.jsonl.")],
    weights: Annotated[str | None, typer.Option(help="Fusion weights of both, as text=1,sketch=1.")] = None,
    modality: Annotated[str, typer.Option(help="text, sketch, both or all.")] = "all",
    names: Annotated[bool, typer.Option("--names", help="Ask queries without words by the name of their class, too.")] = False,
    distractors: Annotated[Path | None, typer.Option(help="Folder of further pictures, which answer no query.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with the queries, their hits and the failures.")] = None,
    model: Model = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Measure recall on a benchmark."""
    from tsir.commands import models

    settings = _working(configured(model=model, device=device))
    models.evaluate(
        settings,
        images,
        queries,
        weights=weights,
        modality=modality,
        names=names,
        distractors=distractors,
        html=html,
        as_json=as_json,
    )


@app.command()
def calibrate(
    queries: Annotated[list[Path], typer.Argument(help="QUERIES.jsonl, each with its gallery in images/ beside it.")],
    out: Annotated[Path | None, typer.Option(help="File to write, in place of the encoder's own in DATA_DIR.")] = None,
    data_dir: DataDir = None,
    model: Model = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Learn from benchmarks what the model's scores mean: the relevance of hits, and the line below which they are less likely."""
    from tsir.commands import models

    settings = _working(configured(data_dir=data_dir, model=model, device=device))
    models.calibrate(settings, queries, out, as_json=as_json)


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="Configuration, such as server/configs/lite.yaml.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, over the configuration.")] = None,
) -> None:
    """Train a model."""
    from tsir.errors import EncoderUnavailable, InvalidInput

    if not config.is_file():
        raise InvalidInput(f"There is no configuration {str(config)!r}.")
    _working(configured(log_level="INFO"))
    try:
        from tsir.training import loop
    except ModuleNotFoundError as error:
        raise EncoderUnavailable(f"Training needs {error.name}, which is not installed: run `make setup EXTRAS=train`.") from error
    loop.main(config, overrides or [])


@app.command()
def embed(
    out: Annotated[Path, typer.Option(help="File to write, X.npz: names, and vectors as unit rows.")],
    images: Annotated[Path | None, typer.Option(help="Folder of photos.")] = None,
    sketches: Annotated[Path | None, typer.Option(help="Folder of drawings.")] = None,
    texts: Annotated[Path | None, typer.Option(help="File with a text on each line.")] = None,
    model: Model = None,
    weights: Weights = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Write vectors of photos, drawings or texts to a file, computed in fp32 unless PRECISION says otherwise."""
    from tsir.commands import models
    from tsir.errors import InvalidInput

    given = [(kind, path) for kind, path in (("images", images), ("sketches", sketches), ("texts", texts)) if path is not None]
    if len(given) != 1:
        raise InvalidInput("Say what to encode: one of --images FOLDER, --sketches FOLDER, --texts FILE.")
    settings = _working(configured(model=model, weights=weights, device=device))
    if settings.precision == "auto":  # what is compared elsewhere should be exact rather than quick
        settings = settings.model_copy(update={"precision": "fp32"})
    kind, source = given[0]
    _finish(not models.embed(settings, kind, source, out, as_json=as_json))  # type: ignore[arg-type]


@app.command()
def check(
    repair: Annotated[bool, typer.Option("--repair", help="Mend what differs.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Compare rows, vectors, files and thumbnails."""
    from tsir.commands import stock

    _finish(stock.check(_working(configured(data_dir=data_dir)), repair=repair, as_json=as_json))


@app.command()
def doctor(
    data_dir: DataDir = None,
    host: Host = None,
    port: Port = None,
    client_port: ClientPort = None,
    image_roots: ImageRoots = None,
    model: Model = None,
    weights: Weights = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Look at settings, ports, disks, stores, weights and folders, and say what to do about what is wrong."""
    from tsir.commands import doctor as command

    settings = configured(
        data_dir=data_dir,
        host=host,
        port=port,
        client_port=client_port,
        image_roots=image_roots,
        model=model,
        weights=weights,
        device=device,
    )
    _finish(command.examine(_working(settings), as_json=as_json))


@app.command()
def forget(
    folder: Annotated[Path, typer.Argument(help="Folder whose missing pictures are taken out; it need not exist.")],
    table: Table = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Take pictures out of the library whose files are no longer below a folder."""
    from tsir.commands import stock

    settings = _working(configured(data_dir=data_dir))
    stock.forget(settings, folder, table or settings.default_table, as_json=as_json)


@app.command()
def relocate(
    old: Annotated[Path, typer.Argument(help="Where the folder was; it need not be there.")],
    new: Annotated[Path, typer.Argument(help="Where it is now.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Tell the library that a folder was moved: its pictures are found at their new places, without being read again."""
    from tsir.commands import tidying

    tidying.relocate(_working(configured(data_dir=data_dir)), old, new, as_json=as_json)


@app.command()
def remove(
    pictures: Annotated[list[str], typer.Argument(help="Pictures, by their paths or numbers.")],
    table: Table = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Take pictures out of the library; files in folders stay, and imports leave them out from then on."""
    from tsir.commands import tidying

    settings = _working(configured(data_dir=data_dir))
    tidying.remove(settings, pictures, table or settings.default_table, as_json=as_json)


@app.command()
def excluded(table: Table = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the pictures that were taken out and that imports leave out."""
    from tsir.commands import tidying

    settings = _working(configured(data_dir=data_dir))
    tidying.list_excluded(settings, table or settings.default_table, as_json=as_json)


@trash_app.command("list")
def trash_list(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """What lies in the trash, the newest first."""
    from tsir.commands import tidying

    tidying.list_trash(_working(configured(data_dir=data_dir)), as_json=as_json)


@trash_app.command("restore")
def trash_restore(
    entries: Annotated[list[str] | None, typer.Argument(help="Entries, as `tsir trash list` names them.")] = None,
    last: Annotated[bool, typer.Option("--last", help="The newest one.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Bring back what was taken out."""
    from tsir.commands import tidying

    _finish(tidying.restore(_working(configured(data_dir=data_dir)), entries or (), newest=last, as_json=as_json))


@trash_app.command("empty")
def trash_empty(
    entries: Annotated[list[str] | None, typer.Argument(help="Entries, as `tsir trash list` names them. Default: all.")] = None,
    yes: Sure = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Delete what lies in the trash for good."""
    from tsir.commands import tidying

    tidying.empty(_working(configured(data_dir=data_dir)), entries or (), sure=yes, as_json=as_json)


@collection_app.command("list")
def collection_list(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """All collections, with their counts."""
    from tsir.commands import tidying

    tidying.list_collections(_working(configured(data_dir=data_dir)), as_json=as_json)


@collection_app.command("rename")
def collection_rename(
    name: Annotated[str, typer.Argument(help="Collection.")],
    to: Annotated[str, typer.Argument(help="Its new name.")],
    data_dir: DataDir = None,
) -> None:
    """Give a collection another name."""
    from tsir.commands import tidying

    tidying.rename(_working(configured(data_dir=data_dir)), name, to)


@collection_app.command("drop")
def collection_drop(
    name: Annotated[str, typer.Argument(help="Collection.")], yes: Sure = False, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Delete a collection; files in folders stay, uploads go to the trash."""
    from tsir.commands import tidying

    tidying.drop(_working(configured(data_dir=data_dir)), name, sure=yes, as_json=as_json)


@app.command()
def reencode(
    name: Annotated[str, typer.Argument(help="Collection.")],
    encoder: Annotated[str, typer.Option(help="lite, task-former or open_clip:ARCH/TAG.")],
    data_dir: DataDir = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Encode a collection anew with another model; the old vectors are served until it is done."""
    from tsir.commands import stock

    _finish(stock.reencode(_working(configured(data_dir=data_dir, device=device)), name, encoder, as_json=as_json))


@app.command()
def backup(
    file: Annotated[Path | None, typer.Argument(help="Archive to write, a ZIP. Default: tsir-DATE.zip.")] = None,
    uploads: Annotated[bool, typer.Option("--uploads/--no-uploads", help="Uploaded pictures, which nobody else has.")] = True,
    pictures: Annotated[bool, typer.Option("--pictures", help="Put the pictures of folders in, too.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Write the library to one portable file; the server may run."""
    from tsir.commands import keeping

    keeping.backup(_working(configured(data_dir=data_dir)), file, uploads=uploads, pictures=pictures)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="Archive of `tsir backup`, or one of the catalogs in DATA_DIR/backups.")],
    data_dir: DataDir = None,
) -> None:
    """Add the collections of an archive to the library, or put a backup of the catalog in the catalog's place."""
    from tsir.commands import keeping

    _finish(keeping.restore(_working(configured(data_dir=data_dir)), file))


@app.command()
def openapi() -> None:
    """Print the API's schema."""
    from tsir.app import create_app
    from tsir.commands.terminal import print_json

    print_json(create_app(configured()).openapi())


@app.command(add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def bench(context: typer.Context) -> None:
    """Measure the speed of encoder, imports and vector store."""
    from tsir.evaluation.bench import bench_app

    bench_app(args=context.args or ["--help"], prog_name="tsir bench", standalone_mode=False)


class Precision(str, Enum):
    """Arithmetic of converted weights."""

    fp16 = "fp16"
    fp32 = "fp32"


Name = Annotated[str, typer.Argument(help="Encoder.")]


@weights_app.command("list")
def weights_list(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Which weights there are, and their state."""
    from tsir.commands import models

    models.weights_list(_working(configured(data_dir=data_dir)), as_json=as_json)


@weights_app.command("get")
def weights_get(name: Name, data_dir: DataDir = None, weights: Weights = None, as_json: AsJson = False) -> None:
    """Download weights, going on where an earlier try stopped."""
    from tsir.commands import models

    models.weights_get(_working(configured(data_dir=data_dir, weights=weights)), name, as_json=as_json)


@weights_app.command("verify")
def weights_verify(name: Name, data_dir: DataDir = None, weights: Weights = None, as_json: AsJson = False) -> None:
    """Read weights and compare them with what is known of them."""
    from tsir.commands import models

    models.weights_verify(_working(configured(data_dir=data_dir, weights=weights)), name, as_json=as_json)


@weights_app.command("convert")
def weights_convert(
    source: Annotated[Path, typer.Argument(help="Checkpoint.")],
    target: Annotated[Path, typer.Argument(help="File to write, X.safetensors.")],
    precision: Annotated[Precision, typer.Option(help="fp16 or fp32.")] = Precision.fp16,
) -> None:
    """Write weights as safetensors."""
    from tsir.commands import models

    models.weights_convert(source, target, precision.value)


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the command `tsir`; ends the process."""
    code: object = 0
    # Python looks for cycles after every 700 new objects: a quarter of the time of importing, which makes a million and no garbage.
    gc.set_threshold(50_000)
    try:
        app(arguments, prog_name="tsir")
    except SystemExit as leaving:
        code = leaving.code
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        sys.stderr.write(f"tsir: The output cannot be written: {error.strerror}.\n")
        code = 1
    for stream in filter(None, (sys.stdout, sys.stderr)):  # none where the shell closed it
        with contextlib.suppress(OSError):  # nobody reads any more
            stream.flush()
    # Everything is closed by now; taking the interpreter apart, with all its libraries, would only take seconds more.
    os._exit(code if isinstance(code, int) else int(code is not None))
