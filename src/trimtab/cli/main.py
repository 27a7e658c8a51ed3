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

SECTIONS = {
    "A first look": (machine.doctor, demo.demo),
    "Studies of balancing rules": (
        study.plan,
        study.run,
        study.status,
        study.table,
        study.report,
        study.controls,
        sharing.work,
        sharing.submit,
        sharing.export_cells,
    ),
    "Models with experts": (
        routing_command.routing,
        capacity_command.capacity,
        prune.prune,
        routes_command.routes,
        simulate.simulate,
    ),
    "Code that models write": (
        eval_judge_command.evaluate,
        eval_judge_command.judge,
        compare_command.compare,
        serve_command.serve,
        selfinvoke_command.selfinvoke,
    ),
    "What reports say": (evidence.evidence,),
}


@click.group(
    cls=Group,
    sections={head: [str(verb.name) for verb in verbs] for head, verbs in SECTIONS.items()},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="trimtab")
def main() -> None:
    """Measure and steer how experts share work, judge code in a sandbox, check what reports say.

    Begin with `trimtab demo` (half a minute, nothing is downloaded). Each command has its own --help.
    """


for verbs in SECTIONS.values():
    for verb in verbs:
        main.add_command(verb)
