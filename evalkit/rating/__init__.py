"""Asking people: the design of a study, its sealed key, and the desk that raters' answers are handed in at.

Modules: `study` (who is shown what, pure), `key` (the sealed key), `blind` and `clips` (copies of videos that tell nothing), `database`
(the file, as several threads use it), `answers` (what can be answered), `desk` (what a server asks), `tickets` and
`answers_file` (answers that were given elsewhere, on pages of evalkit), `imported` (answers that another tool collected).
"""
