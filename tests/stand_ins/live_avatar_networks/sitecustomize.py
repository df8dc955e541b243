"""Python reads this when its folder is in front on PYTHONPATH: each rank of Live Avatar then runs without a GPU."""

import os

if "RANK" in os.environ:
    import pretend_cuda
    import small_networks

    pretend_cuda.install()
    small_networks.install()
