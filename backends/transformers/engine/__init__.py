"""What runs in an engine process alone: a model, its slots and whose turn it is. Nothing outside may import it."""
