"""A stand-in for the model: prints and writes what Live Avatar prints and writes, and fails as it fails.

The variable ``STAND_IN`` chooses what goes wrong, words apart by commas:
``no_file``, ``silent``, ``elsewhere``, ``hidden`` (elsewhere, and nothing said of it), ``two`` (two new videos), ``cut``,
``hang``, ``oom:RANK``, ``oom_hang:RANK`` (the others wait for it), ``offline``, ``pointer``, ``crash``, ``leaves`` (a process),
``old_gpu`` (without eight-bit floats), ``bottleneck``, ``other_size``, ``step_s:SECONDS``, ``save_s:SECONDS``, ``die:SAMPLE`` (of a batch), ``at:SAMPLE`` (of a batch: the others go wrong in it alone).
"""

from __future__ import annotations

import argparse
import fcntl
import logging
import math
import os
import stat
import subprocess
import sys
import termios
import time
from datetime import datetime
from pathlib import Path

RANK = int(os.environ["RANK"])
WORLD_SIZE = int(os.environ["WORLD_SIZE"])
FAULTS = dict(word.partition(":")[::2] for word in os.environ.get("STAND_IN", "").split(",") if word)
if Path(os.environ.get("STAND_IN_CALM", "")).is_file():  # nothing goes wrong any more
    FAULTS = {}
STEP_S = float(FAULTS.get("step_s", 0.004))

# Computed with the repository's own formula: portrait and size asked for to what comes out, width and height.
COMES_OUT = {
    ((720, 400), "720*400"): (704, 384),
    ((720, 400), "704*384"): (704, 384),
    ((720, 400), "688*368"): (640, 384),
    ((720, 400), "384*256"): (384, 256),
    ((400, 720), "384*256"): (256, 384),
    ((828, 772), "384*256"): (320, 256),
}


def say(words: str) -> None:
    print(words, flush=True)


def meet(place: str) -> None:
    """Wait until every rank of this run is here, as its barriers do, and what each said before is passed on."""
    folder = os.environ.get("STAND_IN_MEETING")
    if folder is None or WORLD_SIZE == 1:
        return
    while stat.S_ISFIFO(os.fstat(1).st_mode) and any(fcntl.ioctl(1, termios.FIONREAD, bytes(4))):
        time.sleep(0.002)
    run = f"{os.getppid()}-{place}"
    Path(folder, f"{run}-{RANK}").touch()
    while len(list(Path(folder).glob(f"{run}-*"))) < WORLD_SIZE:
        time.sleep(0.005)


def begin() -> None:
    say(f"world_size: {WORLD_SIZE}")
    if RANK == 0:
        logging.basicConfig(
            level=logging.INFO,
            format="[%(asctime)s] %(levelname)s: %(message)s",
            handlers=[logging.StreamHandler(stream=sys.stdout)],
        )
    else:
        logging.basicConfig(level=logging.ERROR)


def load(args: argparse.Namespace) -> int:
    """Check what its code asserts, load, and return the rank that saves."""
    if args.offload_model is None:
        args.offload_model = WORLD_SIZE == 1
    if WORLD_SIZE > 1:
        assert WORLD_SIZE >= 5, "At least 5 GPUs are supported for distributed inference."
        assert args.num_gpus_dit == 4, "Only 4 GPUs are supported for distributed inference."
        assert args.enable_vae_parallel is True, "VAE parallel is required for distributed inference."
        say("Using TPP distributed inference.")
    else:
        args.enable_vae_parallel, args.num_gpus_dit = False, 1
        say(f"Using single GPU inference with offload mode: {args.offload_model}")
    logging.info("Generation job args: %s", args)
    logging.info("Creating WanS2V pipeline.")
    logging.info("Creating WanModel from %s", args.ckpt_dir)
    for done in range(3):
        sys.stderr.write(
            f"\rLoading checkpoint shards: {50 * done:3d}%|####| {done}/2 [00:0{done}<00:00,  1.00s/it]"
        )
    sys.stderr.write("\n")
    if "pointer" in FAULTS:
        raise OSError(
            "You seem to have cloned a repository without having git-lfs installed. Please install git-lfs and run `git lfs "
            "install` followed by `git lfs pull` in the folder you cloned."
        )
    if not Path(args.lora_path_dmd).is_file():
        say(f"Downloading from HF Hub: {args.lora_path_dmd}")
        if "offline" in FAULTS:
            say(
                "Failed to download from HF Hub: An error happened while trying to locate the file on the Hub and we cannot "
                "find the requested files in the local cache. Please check your connection and try again or make sure your "
                "Internet connection is on., treating as local path"
            )
            Path(args.lora_path_dmd).read_bytes()
    say("LoRA merged successfully.")
    if "STAND_IN_LOADS" in os.environ and RANK == 0:
        with Path(os.environ["STAND_IN_LOADS"]).open("a") as log:
            log.write("loaded\n")
    return args.num_gpus_dit if args.enable_vae_parallel else 0


N_DENOISED = {"videos": 0}


def denoise(args: argparse.Namespace, image: str, audio: str, num_clip: int | None, save_rank: int) -> int:
    """Draw the bars of all blocks; return the frames that come of it."""
    from PIL import Image

    with Image.open(image) as picture:
        key = (picture.size, args.size)
    width, height = COMES_OUT[key]
    tokens = 2.5 * (width // 16) * (height // 16)
    say("complete prepare conditional inputs")
    N_DENOISED["videos"] += 1
    meet(f"prepared-{N_DENOISED['videos']}")
    limit = 2800 if WORLD_SIZE == 1 else 3000
    if tokens > limit:
        raise RuntimeError(
            f"The expanded size of the tensor ({limit}) must match the existing size ({tokens:.0f}) at non-singleton dimension 1"
        )
    if (WORLD_SIZE == 1 and args.sample_steps > 4) or (
        WORLD_SIZE > 1 and args.sample_steps > args.num_gpus_dit
    ):
        raise KeyError("5")
    n_clips = min(num_clip or 10**9, int(n_sound_frames(audio) / (args.infer_frames * (30 / 25))) + 1)
    n_blocks = args.infer_frames // 12
    for block in range(n_clips * n_blocks):
        for step in range(args.sample_steps + 1):
            bar(step, args.sample_steps)
            if step == 2:
                go_wrong(block)
            time.sleep(STEP_S)
        bar(args.sample_steps, args.sample_steps)  # drawn once more when it is closed
        sys.stderr.write("\n")
        if block + 1 == n_blocks and getattr(args, "enable_online_decode", False) and WORLD_SIZE == 1:
            decode(args, "offloading model to cpu, please wait...")
        if "bottleneck" in FAULTS and save_rank == RANK and WORLD_SIZE > 1:
            say("WARNING: VAE serves as a bottleneck!")
    meet(f"denoised-{N_DENOISED['videos']}")
    if WORLD_SIZE == 1:
        say("complete full-sequence generation")
        decode(args, "loading VAE to cuda for final decode of remaining clips")
    return args.infer_frames * n_clips - 3


def decode(args: argparse.Namespace, announcement: str) -> None:
    """Decode on one GPU: its code put the decoder on the processor, and brings it back only with offload_model."""
    if not args.offload_model:
        raise RuntimeError(
            "Input type (CUDABFloat16Type) and weight type (CPUBFloat16Type) should be the same"
        )
    say(announcement)


def bar(step: int, n_steps: int) -> None:
    share = 100 * step // n_steps
    speed = "?it/s" if not step else "231.1it/s"
    sys.stderr.write(f"\r{share:3d}%|{'█' * (share // 10):10s}| {step}/{n_steps} [00:00<00:00, {speed}]")
    sys.stderr.flush()


def go_wrong(block: int) -> None:
    if "old_gpu" in FAULTS and "--fp8" in sys.argv:
        raise RuntimeError(
            "torch._scaled_mm is only supported on CUDA devices with compute capability >= 9.0 or 8.9, or ROCm MI300+"
        )
    if "crash" in FAULTS:
        raise KeyError("cond_shape")
    if "hang" in FAULTS and block == 2:
        start_sleeper()
        time.sleep(600)
    oom = FAULTS.get("oom", FAULTS.get("oom_hang"))
    if oom is not None and block == 1:
        if int(oom) == RANK:
            sys.stderr.write(
                f"\n[rank{RANK}]: Traceback (most recent call last):\n"
                f"[rank{RANK}]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB. GPU {RANK} has a total "
                "capacity of 22.15 GiB of which 1.02 GiB is free.\n"
            )
            sys.stderr.flush()
            if "oom" in FAULTS:
                os._exit(1)
        time.sleep(600)


def start_sleeper() -> None:
    command = [sys.executable, "-S", "-E", "-c", "import time; time.sleep(600)"]
    subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def sound_s(audio: str) -> float:
    import av

    with av.open(audio) as container:
        return container.duration / av.time_base


def n_sound_frames(audio: str) -> int:
    """Return what wav2vec makes of a sound, resampled from 50 to 30 a second."""
    n = math.ceil(sound_s(audio) * 16000 - 1e-6)
    for kernel, stride in ((10, 5), *[(3, 2)] * 4, *[(2, 2)] * 2):
        n = (n - kernel) // stride + 1
    return int(n / 50.0 * 30)


def save(path: Path, args: argparse.Namespace, image: str, audio: str, n_frames: int) -> None:
    """Write the picture, then join the sound, as its save_video and merge_video_audio do: a failure is only printed."""
    from PIL import Image

    if "no_file" in FAULTS:
        logging.info("save_video failed, error: [Errno 28] No space left on device")
        raise FileNotFoundError(f"video file {path} does not exist")
    with Image.open(image) as picture:
        width, height = COMES_OUT[picture.size, args.size]
    if "other_size" in FAULTS:
        width -= 64
    n_frames = min(n_frames, round(sound_s(audio) * 25))
    if "cut" in FAULTS:
        n_frames //= 3
    time.sleep(float(FAULTS.get("save_s", 0)))
    say("Start merging video and audio...")
    silent = "silent" in FAULTS
    if silent:
        say("merge_video_audio failed with error: FFmpeg execute failed: Unknown encoder 'aac'")
    write(path, (width, height), n_frames, None if silent else audio)
    if not silent and "hidden" not in FAULTS:
        say(f"Merge completed, saved to {path}")


def write(path: Path, size: tuple[int, int], n_frames: int, audio: str | None) -> None:
    import av
    import numpy as np

    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        picture.width, picture.height = size
        picture.pix_fmt = "yuv420p"
        sound = container.add_stream("aac", rate=16000, layout="mono") if audio is not None else None
        for index in range(n_frames):
            image = np.full((size[1], size[0], 3), (index * 8) % 256, np.uint8)
            container.mux(picture.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(picture.encode(None))
        if sound is None:
            return
        samples = (0.3 * np.sin(np.arange(n_frames * 640) / 7)).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16000, 0
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))


def default_name(
    args: argparse.Namespace, prompt: str, beginning: str = "", at_s: float | None = None
) -> str:
    now = datetime.fromtimestamp(time.time() if at_s is None else at_s).astimezone().strftime("%Y%m%d_%H%M%S")
    words = prompt.replace(" ", "_").replace("/", "_")[:50]
    return f"{beginning}{now}_{args.sample_steps}step_{words}.mp4"
