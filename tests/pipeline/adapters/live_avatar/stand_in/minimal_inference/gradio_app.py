"""A stand-in for Live Avatar's page: what gradio 6.31 answers over HTTP, and what the page makes of a request.

It says warnings and errors alone, as the page does, and goes on after a failure. Beside the words of the model, ``STAND_IN``
takes ``other_page`` (one of another shape), ``no_ffprobe`` and ``load_s:SECONDS``. ``at:N`` is the N-th request.
"""

from __future__ import annotations

import argparse
import email
import email.policy
import json
import logging
import os
import shutil
import tempfile
import threading
import time
import traceback
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import model
from arguments import SIZES, truth

CACHE = Path(os.environ.get("GRADIO_TEMP_DIR", tempfile.gettempdir()))
ALL_FAULTS = dict(model.FAULTS)
CALLS: dict[str, dict[str, Any]] = {}
ONE_AT_A_TIME = threading.Lock()
BOUNDS = {3: (1, 10000), 4: (1, 50), 5: (0.0, 10.0), 6: (16, 160)}
"""Of its sliders, by their place."""


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", default="s2v-14B", choices=["t2v-A14B", "i2v-A14B", "ti2v-5B", "s2v-14B"])
    parser.add_argument("--size", default=None, choices=SIZES)
    parser.add_argument("--offload_model", type=truth, default=None)
    parser.add_argument("--sample_solver", default="euler", choices=["euler", "unipc", "dpm++"])
    for name, default in (
        ("frame_num", None),
        ("ulysses_size", 1),
        ("sample_steps", 4),
        ("base_seed", 420),
        ("infer_frames", 48),
        ("num_clip", 10),
        ("num_gpus_dit", 4),
        ("server_port", 7860),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name in ("sample_shift", "sample_guide_scale"):
        parser.add_argument(f"--{name}", type=float, default=None)
    for name, text in (
        ("ckpt_dir", "ckpt/Wan2.2-S2V-14B/"),
        ("save_dir", "./output/gradio/"),
        ("lora_path", None),
        ("lora_path_dmd", None),
        ("training_config", "liveavatar/configs/s2v_causal_sft.yaml"),
        ("pose_video", None),
        ("server_name", "0.0.0.0"),  # noqa: S104 - as it does
    ):
        parser.add_argument(f"--{name}", type=str, default=text)
    for name in (
        "t5_fsdp", "t5_cpu", "dit_fsdp", "convert_model_dtype", "load_lora", "single_gpu", "using_merged_ckpt",
        "enable_vae_parallel", "offload_kv_cache", "enable_tts", "start_from_ref", "drop_motion_noisy", "fp8",
    ):  # fmt: skip
        parser.add_argument(f"--{name}", action="store_true", default=False)
    return parser.parse_args()


def go_wrong(block: int, whole: Any = model.go_wrong) -> None:
    """Raise what a rank raises: its page catches it, and the others wait."""
    if "oom" in model.FAULTS:
        if int(model.FAULTS["oom"]) == model.RANK and block == 1:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.50 GiB.")
        return
    whole(block)


def say(words: str, whole: Any = model.say) -> None:
    """Print; what it would log as information is not heard."""
    if not words.startswith(("Start merging", "Merge completed", "world_size", "Using ")):
        whole(words)


class App:
    """The page, and the model behind it."""

    def __init__(self, args: argparse.Namespace, save_rank: int) -> None:
        self.args = args
        self.save_rank = save_rank
        self.n_made = 0

    def compute(self, given: list[Any]) -> str | None:
        """Make a video, on every rank."""
        prompt, image, audio, num_clip, steps, _, infer_frames, size, _, _ = given
        self.n_made += 1
        at = ALL_FAULTS.get("at")
        model.FAULTS = {} if at is not None and int(at) != self.n_made else ALL_FAULTS
        if "die" in model.FAULTS and int(model.FAULTS["die"]) == self.n_made:
            os.abort()
        asked = argparse.Namespace(
            **{**vars(self.args), "size": size, "sample_steps": steps, "infer_frames": infer_frames}
        )
        try:
            n_frames = model.denoise(asked, image, audio, num_clip, self.save_rank)
            # its ranks read their clocks one by one, and a second that ends in between loses the video: not here
            at_s = self._broadcast(self.n_made).stat().st_mtime if model.WORLD_SIZE > 1 else None
            path = Path(self.args.save_dir) / model.default_name(asked, prompt, at_s=at_s)
            if self.save_rank == model.RANK:
                path.parent.mkdir(parents=True, exist_ok=True)
                model.save(path, asked, image, audio, n_frames)
            model.meet(f"saved-{self.n_made}")
        except Exception as error:  # noqa: BLE001 - as it does
            logging.error("Error during generation: %s", error)  # noqa: TRY400 - as it does
            traceback.print_exc()
            return None
        return str(path)

    def follow(self) -> None:
        """Take part in what rank 0 is asked for, for ever."""
        for number in range(1, 10**6):
            while not self._broadcast(number).is_file():
                time.sleep(0.01)
            self.compute(json.loads(self._broadcast(number).read_text()))

    def generate_wrapper(self, given: list[Any]) -> tuple[str | None, str]:
        """Do what its button does."""
        if not all(given[:3]):
            return None, "错误 / Error: 请提供所有必需的输入 (提示词、图像、音频)"
        if model.WORLD_SIZE > 1:
            part = self._broadcast(self.n_made + 1).with_suffix(".part")
            part.write_text(json.dumps(given))
            part.rename(self._broadcast(self.n_made + 1))
        path = self.compute(given)
        if path is None:
            return None, "❌ 生成失败，请查看日志 / Generation failed, please check logs"
        return path, f"✅ 生成成功 / Generation Successful!\n视频保存在 / Video saved at: {path}"

    @staticmethod
    def _broadcast(number: int) -> Path:
        return Path(os.environ["STAND_IN_MEETING"], f"{os.getppid()}-asked-{number}.json")


def prepare(data: list[Any]) -> list[Any]:
    """Do what gradio does with inputs before the page sees them; an error is one for whoever called."""
    from PIL import Image, ImageOps

    given = list(data)
    for place, (low, high) in BOUNDS.items():
        if not low <= given[place] <= high:
            raise ValueError(f"Value {given[place]} is out of bounds")
    if given[7] not in SIZES:
        raise ValueError(f"Value: {given[7]} is not in the list of choices")
    for place in (1, 2):
        path = Path(given[place]["path"]).resolve()
        if not path.is_relative_to(CACHE.resolve()):
            raise ValueError(
                f"Cannot move {path} to the gradio cache dir because it was not uploaded by a user."
            )
        given[place] = str(path)
    with Image.open(given[1]) as picture:
        if picture.mode != "RGB":
            turned = Path(given[1]).with_name("image.webp")
            ImageOps.exif_transpose(picture).convert("RGB").save(turned)
            given[1] = str(turned)
    return given


def answer(app: App, data: list[Any]) -> tuple[str, Any]:
    """Return the event that ends a call, and its data."""
    with ONE_AT_A_TIME:
        try:
            path, status = app.generate_wrapper(prepare(data))
            shown = None if path is None else {"path": keep(Path(path)), "meta": {"_type": "gradio.FileData"}}
        except Exception:  # noqa: BLE001 - whatever it is
            traceback.print_exc()
            return "error", {"error": None}
        return "complete", [shown, status]


def keep(path: Path) -> str:
    """Copy a file to where it can be shown from; gradio shows those of its own, the working and the temporary folder."""
    shown_from = (Path.cwd(), Path(tempfile.gettempdir()), CACHE)
    if not any(path.resolve().is_relative_to(folder.resolve()) for folder in shown_from):
        raise ValueError(f"Cannot move {path} to the gradio cache dir")
    copy = CACHE / uuid.uuid4().hex / path.name
    copy.parent.mkdir(parents=True)
    shutil.copy(path, copy)
    return str(copy)


class Handler(BaseHTTPRequestHandler):
    """gradio's interface, as far as it is used."""

    app: App

    def log_message(self, *words: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Describe the page, or wait for the end of a call."""
        if self.path == "/config":
            inputs = list(range(9 if "other_page" in ALL_FAULTS else 10))
            call = {"id": 3, "inputs": inputs, "outputs": [10, 11], "api_name": "generate_wrapper"}
            self._send({"version": "6.31.0", "api_prefix": "/gradio_api", "dependencies": [call]})
            return
        call = CALLS[self.path.rsplit("/", 1)[1]]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        while not call["done"].wait(0.5):
            self._event("heartbeat", None)
        self._event(*call["answer"])

    def do_POST(self) -> None:
        """Take a file, or begin a call."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/gradio_api/upload":
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            (part,) = email.message_from_bytes(head + body, policy=email.policy.HTTP).iter_parts()
            path = CACHE / uuid.uuid4().hex / str(part.get_filename())
            path.parent.mkdir(parents=True)
            path.write_bytes(part.get_payload(decode=True))
            self._send([str(path)])
        elif self.path == "/gradio_api/call/generate_wrapper":
            name, call = uuid.uuid4().hex, {"done": threading.Event(), "answer": None}
            CALLS[name] = call
            threading.Thread(target=self._work, args=(call, json.loads(body)["data"]), daemon=True).start()
            self._send({"event_id": name})
        else:
            self.send_error(404)

    def _work(self, call: dict[str, Any], data: list[Any]) -> None:
        call["answer"] = answer(self.app, data)
        call["done"].set()

    def _send(self, what: Any) -> None:
        body = json.dumps(what).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _event(self, name: str, data: Any) -> None:
        self.wfile.write(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())
        self.wfile.flush()


def main() -> None:
    args = parse()
    logging.basicConfig(level=logging.WARNING)
    model.go_wrong, model.say = go_wrong, say
    time.sleep(float(ALL_FAULTS.get("load_s", 0)))
    app = App(args, model.load(args))
    if model.RANK:
        app.follow()
    if "no_ffprobe" in ALL_FAULTS:
        raise FileNotFoundError(2, "No such file or directory", "ffprobe")
    Handler.app = app
    ThreadingHTTPServer((args.server_name, args.server_port), Handler).serve_forever()


if __name__ == "__main__":
    main()
