"""What administrators see of the whole site: figures from the roll-ups, and what is happening now.

``ranges``: from when to when; ``figures``, ``people``: what was used; ``running``, ``backends``, ``alerts``,
``opinions``: what is now; ``records``: usage by filters; ``charts``: shapes of what is drawn; ``numbers``: figures in
words; ``sheets``: files for spreadsheets. Constant queries everywhere, and no record is added up for a page.
"""
