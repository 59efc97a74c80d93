"""`tsir doctor`: what is wrong here, and what to do."""

from __future__ import annotations

from dataclasses import asdict

import typer

from tsir.commands import remote
from tsir.commands.terminal import print_json
from tsir.logs import CONTROLS
from tsir.services import doctor
from tsir.settings import Settings

SIGNS = {"well": "ok", "notice": "note", "trouble": "TROUBLE"}


def examine(settings: Settings, *, as_json: bool) -> bool:
    """Print what was found; whether nothing is wrong."""
    shown = doctor.settings_shown(settings)
    found = doctor.examine(settings, running=remote.find(settings) is not None)
    well = all(finding.state != "trouble" for finding in found)
    if as_json:
        print_json({"well": well, "settings": shown, "findings": [asdict(finding) for finding in found]})
        return well
    typer.echo("Set: " + (", ".join(f"{name}={value}" for name, value in shown.items()) or "nothing").translate(CONTROLS))
    for finding in found:
        typer.echo(f"{SIGNS[finding.state]:8}{finding.what}: {finding.said}".translate(CONTROLS))
        if finding.advice:
            typer.echo(f"{'':8}  -> {finding.advice}")
    typer.echo("All is well." if well else "Something is wrong.")
    return well
