"""A stand-in for torchrun on one machine: its arguments, its tags, what it does when a rank fails.

Lines are tagged as by its ``--tee 3``: files of the ranks are read as text, so a carriage return ends a line, and what is
there of an unfinished line is written at once, tag in front.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--nproc-per-node", "--nproc_per_node", type=int, default=1)
    parser.add_argument("--master-port", "--master_port", type=int, default=29500)
    parser.add_argument("-t", "--tee", default="0", choices=["0", "3"])
    parser.add_argument("--log-dir", "--log_dir", default=None)
    parser.add_argument("script")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    return parser.parse_args()


def _hold(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("", port))
    except OSError:
        sys.exit(
            "torch.distributed.DistNetworkError: The server socket has failed to listen on any local network address. "
            f"port: {port}, useIpv6: false, code: -98, name: EADDRINUSE, message: address already in use"
        )
    listener.listen()
    return listener


def _tee(streams: list[int]) -> None:
    """Pass on what the ranks say until all are silent.

    What is read is written before anything else is read: a rank whose pipe is empty has been passed on.
    """
    speaking = dict(enumerate(streams))
    while speaking:
        for stream in select.select(list(speaking.values()), [], [])[0]:
            rank = streams.index(stream)
            said = os.read(stream, 65536)
            if not said:
                os.close(speaking.pop(rank))
                continue
            text = said.decode().replace("\r", "\n")
            tagged = "".join(f"[default{rank}]:{line}" for line in text.splitlines(keepends=True))
            os.write(1, tagged.encode())
        time.sleep(0.02)


def main() -> int:
    args = _parse()
    listener = _hold(args.master_port)
    if "STAND_IN_SEES" in os.environ:
        seen = f"{os.environ['CUDA_VISIBLE_DEVICES']} {args.master_port}"
        Path(os.environ["STAND_IN_SEES"], str(args.master_port)).write_text(seen, "utf-8")
    ranks, streams = [], []
    for rank in range(args.nproc_per_node):
        environment = {
            **os.environ,
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(args.nproc_per_node),
        }
        ours, theirs = os.pipe()
        stream = theirs if args.tee == "3" else None
        ranks.append(
            subprocess.Popen(
                [sys.executable, args.script, *args.arguments], env=environment, stdout=stream, stderr=stream
            )
        )
        os.close(theirs)
        streams.append(ours)
    tee = threading.Thread(target=_tee, args=(streams,))
    tee.start()
    failed = _wait(ranks)
    tee.join()
    listener.close()
    if failed is None:
        return 0
    rank, process = failed
    sys.stderr.write(
        f"E1122 03:41:24.123000 {os.getpid()} torch/distributed/elastic/multiprocessing/api.py:874] "
        f"failed (exitcode: {process.returncode}) local_rank: {rank} (pid: {process.pid}) of binary: {sys.executable}\n"
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n"
        f"{args.script} FAILED\nRoot Cause (first observed failure):\n[0]:\n"
        f"  rank      : {rank} (local_rank: {rank})\n  exitcode  : {process.returncode} (pid: {process.pid})\n"
    )
    return 1


def _wait(ranks: list[subprocess.Popen[bytes]]) -> tuple[int, subprocess.Popen[bytes]] | None:
    """Wait for all; when one fails, end the others."""
    waiting = dict(enumerate(ranks))
    while waiting:
        for rank, process in list(waiting.items()):
            try:
                process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
            del waiting[rank]
            if process.returncode:
                for other in waiting.values():
                    other.send_signal(signal.SIGTERM)
                for other in waiting.values():
                    other.wait()
                return rank, process
    return None


if __name__ == "__main__":
    sys.exit(main())
