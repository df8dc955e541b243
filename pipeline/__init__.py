"""The generation pipeline: speech, dialogue and talking video, behind one interface.

Nothing here imports ``evalkit``: generating never measures. The two meet in files, in entry points, and in the shared
vocabulary, which is defined here: requests, results, events, errors, options, estimates, diagnoses, the interfaces of
generators and recognisers, and the loading of plug-ins.
"""
