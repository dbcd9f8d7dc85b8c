"""What an administrator sees of the site itself: how it fares, and which settings are in effect, from where."""
