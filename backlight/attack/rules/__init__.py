"""How attacks move pixels, beyond the rules of the loop: each is arithmetic that never sees the model."""
