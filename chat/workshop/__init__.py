"""Where administrators work on assistants: versions, order, trying out, rehearsing.

* ``settings``    what of an assistant decides how it answers, as values
* ``differences`` two versions side by side; ``reverting``: an older one again
* ``ordering``    the order of the list
* ``trials``      one run of a backend outside of any conversation, counted and bounded
* ``choosing``    the questions of a rehearsal; ``claiming``, ``working``: its answers
* ``comparing``   both sides, votes, totals
* ``opening``     who may read in it what other people wrote
* ``exporting``   a rehearsal as a file; ``switching``: its settings become those of the assistant
"""
