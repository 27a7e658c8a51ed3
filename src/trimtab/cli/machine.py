"""Verbs over this machine: doctor."""

from __future__ import annotations

import json

import click

from trimtab.cli.options import JSON


@click.command()
@JSON
def doctor(*, as_json: bool) -> None:
    """Say what this machine can do: sandbox tier, threads, optional packages, benchmark data."""
    from trimtab.study import environment  # noqa: PLC0415

    findings = environment.doctor()
    if as_json:
        click.echo(json.dumps(findings, indent=1))
        return
    for name, finding in findings.items():
        click.echo(f"{name:18} {finding}")
