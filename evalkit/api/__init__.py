"""The library: what a script or a notebook calls. The command line only parses arguments and calls the same.

Type hints here resolve at run time, so that notebooks and other tools can read them: everything they name is imported.
Each module is imported when one of its functions is first used, so that measuring clips loads nothing of sweeps.
"""
