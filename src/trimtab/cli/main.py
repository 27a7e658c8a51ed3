"""The command line: verbs only. A scientific setting that is not in the study file does not exist.

Data goes to standard output, progress and errors to standard error. Exit codes: 0 done, 1 some cells failed, 2 the
request cannot be carried out (the message says why), 130 interrupted (run the same command again to go on). A verb
imports what it needs when it runs, so that asking for help loads nothing.
"""

from __future__ import annotations

import click

from trimtab.cli import (
    capacity_command,
    compare_command,
    demo,
    eval_judge_command,
    evidence,
    machine,
    prune,
    routes_command,
    routing_command,
    selfinvoke_command,
    serve_command,
    sharing,
    simulate,
    study,
)
from trimtab.cli.options import Group


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="trimtab")
def main() -> None:
    """Measure how mixture-of-experts load balancing holds up under initialization and capacity stress."""


for verb in (
    study.plan,
    study.run,
    sharing.work,
    sharing.submit,
    sharing.export_cells,
    study.status,
    study.table,
    study.report,
    study.controls,
    machine.doctor,
    demo.demo,
    selfinvoke_command.selfinvoke,
    evidence.evidence,
    simulate.simulate,
    routing_command.routing,
    capacity_command.capacity,
    prune.prune,
    eval_judge_command.evaluate,
    eval_judge_command.judge,
    compare_command.compare,
    routes_command.routes,
    serve_command.serve,
):
    main.add_command(verb)
