"""The verb that serves verdicts: serve."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from trimtab.cli.eval_judge_command import DATA
from trimtab.cli.sandbox_options import sandbox_options

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.option("--host", default="127.0.0.1", help="Address to listen on; any but this machine's own needs a token.")
@click.option("--port", type=click.IntRange(0, 65535), default=8642, help="0 takes a free one.")
@click.option("-b", "--benchmarks", default="", help="Benchmarks whose task ids requests may name, with commas.")
@DATA
@click.option("--queue", type=click.IntRange(min=0), default=1024, help="Requests that may wait.")
@click.option("--wait", type=click.FloatRange(min=0, min_open=True), default=60.0, help="Seconds that one may wait.")
@click.option("--body-limit", type=click.FloatRange(min=0, min_open=True), default=8.0, help="MiB of a request.")
@sandbox_options
def serve(host: str, port: int, benchmarks: str, data: Path | None, **options: Any) -> None:  # noqa: ANN401 - click's
    """Judge programs over HTTP, for reward functions: POST /v1/judge, GET /health, GET /metrics.

    Clients show the token in TRIMTAB_SERVE_TOKEN, if there is one; without one only this machine is served.
    """
    from trimtab.codeeval import problems, server  # noqa: PLC0415
    from trimtab.codeeval.packages import packages  # noqa: PLC0415
    from trimtab.codeeval.remote_judge import TOKEN  # noqa: PLC0415
    from trimtab.codeeval.workers import Workers, WorkerSettings  # noqa: PLC0415
    from trimtab.sandbox.verdict import Limits  # noqa: PLC0415

    token = os.environ.get(TOKEN, "")
    listening = server.listen(host, port, token)
    loaded = [problems.load(name, data, fetch=data is None) for name in _listed(benchmarks)]
    known = {problem.task_id: problem for benchmark in loaded for problem in benchmark.problems}
    limits = {"cpu_s": options["time_limit"], "call_s": options["time_limit"], "memory_mib": options["memory_limit"]}
    settings = WorkerSettings(
        workers=options["workers"],
        tier=options["tier"],
        profile=options["profile"],
        packages=[*_listed(options["packages"]), *packages(known.values())],
        limits=Limits(**{name: value for name, value in limits.items() if value is not None}),
        allow_unsandboxed=options["allow_unsandboxed"],
    )
    taken = server.ServeSettings(
        token=token, queue=options["queue"], wait_s=options["wait"], body_mib=options["body_limit"]
    )
    pool = Workers(settings)
    pool.start()
    address = listening.getsockname()

    def ready() -> None:
        name = f"[{address[0]}]" if ":" in address[0] else address[0]
        click.echo(f"serving http://{name}:{address[1]} at tier {pool.attestation['tier']}", err=True)

    server.serve(server.JudgeServer(pool, taken, known), listening, taken.drain_s, ready)


def _listed(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip() not in ("", "none")]
