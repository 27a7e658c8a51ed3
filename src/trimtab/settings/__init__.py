"""Every setting of the package, each defined once, in plain values that need no torch.

A setting is a frozen class of :func:`trimtab.settings.reading.setting`: it holds names, defaults, ranges and the checks
between fields, and nothing that computes. The same class is what Python code builds (``LossFree(...)``), what a table
of a study file decodes to, what ``trimtab simulate`` reads, what a saved attachment holds and what the tables of the
docs are made from.

* :mod:`~trimtab.settings.rules`: the balancing rules. What a rule does with tensors is bound to its settings in
  :mod:`trimtab.moe.balancers.behaviors`.
* :mod:`~trimtab.settings.capacities`: the room of an expert.
* :mod:`~trimtab.settings.initializations`: stresses of a fresh model, bound to what they do in
  :mod:`trimtab.moe.stresses`.
* :mod:`~trimtab.settings.fresh_models`: the models of a study, chosen by ``preset``.
* :mod:`~trimtab.settings.runs`: text, optimization and evaluation of a cell.

To add a rule, an initialization or a model, write its class in the file of its kind, append it to the tuple at the end
of that file (``RULES``, ``INITIALIZATIONS``, ``MODELS``), and bind what it does. Study files, the simulator, saved
attachments, ``from trimtab import ...`` and the docs follow; ``tests/settings/test_catalog.py`` says what is missing.
A field added to a class that studies have used gets ``later(default)``: at its default it is left out of a cell, so
that the identity of cells stays. An old name of a field stays readable through ``renamed``.
"""
