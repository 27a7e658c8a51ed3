"""Look into trained mixtures: how experts are used, what a capacity would cost, which could go."""
