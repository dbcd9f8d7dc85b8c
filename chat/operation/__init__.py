"""How the backends and the processes of the site fare: what was seen of them, and who is asked nothing for now."""
