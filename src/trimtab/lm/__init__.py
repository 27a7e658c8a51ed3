"""The small language models a study trains; needs torch."""
