"""Routing, balancing, capacity and initialization of experts inside transformers models; needs torch."""
