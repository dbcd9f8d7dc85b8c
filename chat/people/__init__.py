"""Who has an account, how they come by it, who may do what, and who may read what others wrote."""
