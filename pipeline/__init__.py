"""The generation pipeline: speech, dialogue and talking video, behind one interface.

Nothing here imports ``evalkit``: generating never measures. The two meet in a file and through entry points.
"""
