"""The command `tsir`. Only declarations: what a command does is imported when it runs."""

from __future__ import annotations

import contextlib
import os
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from tsir.settings import Settings


class _Group(TyperGroup):
    """Turns our errors into one line and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        from tsir.errors import TsirError

        try:
            return super().invoke(ctx)
        except TsirError as error:
            typer.echo(f"tsir: {error}", err=True)
            raise typer.Exit(1) from error
        except BrokenPipeError:  # `tsir search ... | head`: what is left goes nowhere, and the interpreter's last flush succeeds
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Find your own photos by drawing and typing.",
)
weights_app = typer.Typer(no_args_is_help=True, help="Weights of the models: list, download, verify, convert.")
app.add_typer(weights_app, name="weights")

DataDir = Annotated[Path | None, typer.Option(help="Catalog, vectors, uploads and caches. Default: DATA_DIR, or ./data.")]
Host = Annotated[str | None, typer.Option(help="Address to listen on. Default: HOST, or 127.0.0.1.")]
Port = Annotated[int | None, typer.Option(help="Port of the API. Default: PORT, or 5000.")]
ClientPort = Annotated[int | None, typer.Option(help="Port of the GUI. Default: CLIENT_PORT, or 3000.")]
ImageRoots = Annotated[str | None, typer.Option(help="Folders that may be imported over HTTP, separated like PATH.")]
Model = Annotated[str | None, typer.Option("--model", "--encoder", help="Encoder, such as lite, task-former or open_clip:ARCH/TAG.")]
Weights = Annotated[str | None, typer.Option(help="Path or address of the encoder's weights, instead of its own.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")]
LogLevel = Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")]
Table = Annotated[str | None, typer.Option("--table", help="Collection. Default: DEFAULT_TABLE, or tsir.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def configured(**flags: Any) -> Settings:
    """Settings from .env, environment and, above both, the flags that were given. Raises InvalidInput naming a bad one."""
    from pydantic import ValidationError

    from tsir.errors import InvalidInput
    from tsir.settings import Settings

    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, item['loc'])).upper()} {item['msg'][:1].lower()}{item['msg'][1:]}" for item in error.errors()]
        raise InvalidInput(f"Settings cannot be used: {'; '.join(wrong)}.") from error


def _working(settings: Settings) -> Settings:
    """For commands that finish: warnings only, unless more was asked for."""
    from tsir import logs

    logs.start(settings.model_copy(update={"log_level": "WARNING"}) if settings.log_level == "INFO" else settings)
    return settings


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
    from tsir.commands.serve import client_dist, serve
    from tsir.errors import NotFound

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
    if images is not None:
        images = images.expanduser().resolve()
        if not images.is_dir():
            raise NotFound(f"There is no folder {str(images)!r}.")
        if not settings.roots:
            settings = settings.model_copy(update={"image_roots": str(images)})
    serve(settings, dist=client_dist(client), images=images, samples=samples)


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
    from tsir.commands import serve as command

    command.serve(
        configured(
            data_dir=data_dir,
            host=host,
            port=port,
            image_roots=image_roots,
            model=model,
            weights=weights,
            device=device,
            log_level=log_level,
        )
    )


@app.command()
def load(
    folder: Annotated[Path, typer.Argument(help="Folder with pictures.")],
    table: Table = None,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and import whatever changes.")] = False,
    exclude: Annotated[list[str] | None, typer.Option(help="Pattern of what is left out, as .gitignore has it; may be repeated.")] = None,
    data_dir: DataDir = None,
    model: Model = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Import a folder; what did not change since the last time is skipped."""
    from tsir.commands import stock

    settings = _working(configured(data_dir=data_dir, model=model, device=device))
    _finish(stock.load(settings, folder, table or settings.default_table, exclude=exclude or (), watch=watch, as_json=as_json))


@app.command()
def search(
    text: Annotated[str | None, typer.Option(help="What the picture shows.")] = None,
    not_text: Annotated[str | None, typer.Option(help="What it does not show.")] = None,
    sketch: Annotated[Path | None, typer.Option(help="A drawing.")] = None,
    image: Annotated[Path | None, typer.Option(help="A picture that looks like it.")] = None,
    like: Annotated[int | None, typer.Option(min=1, help="Id of a picture of the collection that looks like it.")] = None,
    topk: Annotated[int | None, typer.Option(min=1, max=1000, help="Number of hits. Default: TOP_K, or 20.")] = None,
    table: Table = None,
    data_dir: DataDir = None,
    model: Model = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Find pictures: by words, by a drawing, or by both."""
    from tsir.commands import stock

    settings = _working(configured(data_dir=data_dir, model=model, device=device))
    words = {name: value for name, value in (("text", text), ("not_text", not_text)) if value}
    pictures = {name: path for name, path in (("sketch", sketch), ("image", image)) if path is not None}
    stock.find(settings, table or settings.default_table, words, pictures, like, topk or settings.top_k, as_json=as_json)


@app.command("eval")
def evaluate(
    images: Annotated[Path, typer.Argument(help="Folder of the gallery.")],
    queries: Annotated[Path, typer.Argument(help="QUERIES.jsonl.")],
    weights: Annotated[str | None, typer.Option(help="Fusion weights of both, as text=1,sketch=1.")] = None,
    modality: Annotated[str, typer.Option(help="text, sketch, both or all.")] = "all",
    html: Annotated[Path | None, typer.Option(help="Write a page with the queries, their hits and the failures.")] = None,
    model: Model = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Measure recall on a benchmark."""
    from tsir.commands import models

    settings = _working(configured(model=model, device=device))
    models.evaluate(settings, images, queries, weights=weights, modality=modality, html=html, as_json=as_json)


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
    file: Annotated[Path, typer.Argument(help="Archive to write.")],
    pictures: Annotated[bool, typer.Option("--pictures", help="Put the pictures in, too.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Write the library to one portable file."""
    from tsir.services import backup as service

    service.backup(_working(configured(data_dir=data_dir)), file, pictures=pictures)
    typer.echo(f"Written: {file}")


@app.command()
def restore(file: Annotated[Path, typer.Argument(help="Archive of `tsir backup`.")], data_dir: DataDir = None) -> None:
    """Add the collections of an archive to the library."""
    from tsir.services import backup as service

    names = service.restore(_working(configured(data_dir=data_dir)), file)
    typer.echo(f"Restored: {', '.join(names)}")


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
    try:
        app(arguments, prog_name="tsir")
    except SystemExit as leaving:
        code = leaving.code
    with contextlib.suppress(OSError):  # nobody reads any more
        sys.stdout.flush()
        sys.stderr.flush()
    # Everything is closed by now; taking the interpreter apart, with all its libraries, would only take seconds more.
    os._exit(code if isinstance(code, int) else int(code is not None))
