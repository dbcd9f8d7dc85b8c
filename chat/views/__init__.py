"""The pages. One function per URL: fetch as its owner, validate with a form, call one verb, answer.

A page that is asked for with ``Accept: application/json`` answers in JSON; without JavaScript every form is a plain
POST that redirects.
"""
