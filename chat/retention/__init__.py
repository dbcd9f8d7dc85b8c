"""How things come to their end: how long they are kept, what is held, and what goes."""
