"""A frozen-score simulator: balancing rules against streams of router scores, hundreds of cells a minute.

Nothing is trained: a stream draws the logits of each batch, a rule chooses, counts and moves as it does in training
(the same :class:`~trimtab.moe.balancers.Balancer` values, the same capacity), and what it did is measured. It isolates
the controller: how fast a rule recovers, how close to the floor it settles, and what affinity it pays. It cannot say
what a model learns.
"""
