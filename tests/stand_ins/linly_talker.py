"""Stands in for the HTTP services of Linly-Talker: endpoints, forms, fixed names, words and failures as they have them.

All three services at one port. ``POST /stand_in?mode=…`` chooses how the next answers fail, ``POST /stand_in`` starts
anew, ``POST /stand_in?restart=1`` loses the models as a restart does, ``GET /stand_in`` tells what was asked and how
often two requests met.
"""

import email.parser
import email.policy
import email.utils
import hashlib
import io
import json
import sys
import threading
import time
import uuid
import wave
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import av
import numpy as np

TALKERS = ["SadTalker", "Wav2Lip", "Wav2Lipv2", "NeRFTalk"]
SPEAKERS = {
    "EdgeTTS": "EdgeTTS",
    "PaddleTTS": "PaddleTTS",
    "GPT-SoVITS克隆声音": "GPT-SoVITS",
    "CosyVoice-SFT模式": "CosyVoice",
    "CosyVoice-克隆翻译模式": "CosyVoice",
}
ECHO = "直接回复 Direct Reply"
LANGUAGE_MODELS = ["Linly", "Qwen", "Qwen2", "ChatGLM", ECHO]
ENDPOINTS = [
    f"/{service}_{what}/" for service in ("talker", "tts", "llm") for what in ("change_model", "response")
]
TALKER_FORM = {
    "preprocess_type": str,
    "is_still_mode": {"true", "false"},
    "enhancer": {"true", "false"},
    "batch_size": int,
    "size_of_image": int,
    "pose_style": int,
    "facerender": str,
    "exp_weight": float,
    "blink_every": {"true", "false"},
    "talker_method": str,
    "fps": int,
}
FIXED = {"Wav2Lip": "example_answer.mp4", "NeRFTalk": "test_audio.mp4"}
MP3 = Path(sys.argv[1]).read_bytes()
FOLDER = Path(sys.argv[2])

state = {}
at_work = threading.Semaphore(1)


def lose_models():
    state["models"] = {"talker": None, "llm": ECHO}
    state["speakers"] = {}  # kind to the model that it has loaded


def start_anew():
    state.update({"mode": "good", "asked": [], "n_met": 0})
    lose_models()
    for path in FOLDER.iterdir():
        path.unlink(missing_ok=True)  # who hung before takes its own files away


def wait_for_another_mode():
    mode = state["mode"]
    while state["mode"] == mode:
        time.sleep(0.02)


def write_video(path, sound, fps, colour, mode):
    """Write a picture of one colour, as long as a WAV file as far as whole frames go, with its sound."""
    with wave.open(io.BytesIO(sound)) as file:
        rate, samples = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2")
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=fps)
        picture.width = picture.height = 64
        track = None if mode == "silent" else container.add_stream("aac", rate=rate, layout="mono")
        image = np.full((64, 64, 3), colour, np.uint8)
        for _ in range(int(len(samples) / rate * fps) // (2 if mode == "half" else 1)):
            container.mux(picture.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(picture.encode(None))
        if track is not None:
            frame = av.AudioFrame.from_ndarray((samples / 32768).astype("f4")[None], "fltp", "mono")
            frame.sample_rate, frame.pts = rate, 0
            container.mux(track.encode(frame))
            container.mux(track.encode(None))


class Refusal(Exception):
    def __init__(self, status, detail):
        self.status, self.detail = status, detail


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def date_time_string(self, timestamp=None):
        later_s = 3600 if "an hour later" in state["mode"] else 0
        return super().date_time_string(timestamp or time.time() + later_s)

    def do_GET(self):
        if self.path == "/openapi.json":
            if state["mode"] == "busy":
                wait_for_another_mode()
            offered = ["/somebody_else/"] if state["mode"] == "other service" else ENDPOINTS
            return self.reply(
                200, "application/json", json.dumps({"paths": dict.fromkeys(offered, {})}).encode()
            )
        return self.reply(200, "application/json", json.dumps(state).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/stand_in":
            if "mode" in query:
                state["mode"] = query["mode"]
            elif "restart" in query:
                lose_models()
            else:
                start_anew()
            return self.reply(200, "application/json", b"{}")
        service, _, what = parts.path.strip("/").partition("_")
        if not at_work.acquire(blocking=False):
            state["n_met"] += 1
            at_work.acquire()
        try:
            self.answer(service, what, query, body)
        except Refusal as refusal:
            self.reply(refusal.status, "application/json", json.dumps({"detail": refusal.detail}).encode())
        finally:
            at_work.release()

    def answer(self, service, what, query, body):
        if what == "change_model":
            return self.change_model(service, query["model_name"])
        if service == "llm":
            question = json.loads(body)["question"]
            state["asked"].append({"question": question})
            answers = {
                "llm truncated": b'{"answer": "Go',
                "llm failed": b'{"answer": "Sorry, your request has encountered an error. Please try again.\\n"}',
                "llm empty": b'{"answer": ""}',
                "llm dollars": b'{"answer": "It costs $5"}',
            }
            said = (
                question
                if state["models"]["llm"] == ECHO or state["mode"] == "echo"
                else f'You said "{question}"'
            )
            answer = json.dumps({"answer": said}).encode()
            return self.reply(200, "application/json", answers.get(state["mode"], answer))
        form = self.form(body)
        return self.speak(form) if service == "tts" else self.talk(form)

    def change_model(self, service, model):
        if state["mode"] == "no model":
            raise Refusal(500, f"Failed to load {model} model: CUDA out of memory. Tried to allocate 2 GiB")
        if state["mode"] == "no weights":
            missing = "[Errno 2] No such file or directory: 'checkpoints/mapping_00229-model.pth.tar'"
            raise Refusal(500, f"Failed to load {model} model: {missing}")
        if service == "talker" and model not in TALKERS:
            raise Refusal(400, "Other models are not integrated yet. Please wait for updates.")
        if service == "tts":
            if model not in SPEAKERS:
                raise Refusal(500, f"{model} 模型加载失败: 400: 未知的TTS模型: {model}")
            state["speakers"].setdefault(SPEAKERS[model], model)
        elif service == "llm" and model not in LANGUAGE_MODELS:
            raise Refusal(500, f"{model}模型加载失败: 400: 未知的LLM模型: {model}")
        else:
            state["models"][service] = model
        state["asked"].append({"model": model})
        self.reply(200, "application/json", b'{"message": "loaded"}')

    def form(self, body):
        if self.headers.get_content_type() == "application/x-www-form-urlencoded":
            return {
                name: values[0] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()
            }
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
        parts = {part.get_param("name", header="Content-Disposition"): part for part in message.iter_parts()}
        return {
            name: part.get_payload(decode=True)
            if part.get_filename()
            else part.get_payload(decode=True).decode()
            for name, part in parts.items()
        }

    def speak(self, form):
        """Say something: MP3 under the name of a WAV file, as EdgeTTS has it; an old file where it failed."""
        plain = {name: value for name, value in form.items() if isinstance(value, str)}
        state["asked"].append(plain | ({"ref_audio": len(form["ref_audio"])} if "ref_audio" in form else {}))
        kind = SPEAKERS[form["tts_method"]]
        if kind not in state["speakers"]:
            raise Refusal(500, f"处理TTS请求失败: 400: {kind} 模型未加载")
        if form.get("cosyvoice_mode") in {"3s极速复刻", "跨语种复刻"} and "ref_audio" not in form:
            raise Refusal(500, "处理TTS请求失败: 400: 选择的模式需要提供 prompt 音频")
        place = FOLDER / form.get("save_path", "answer.wav")
        if state["mode"] == "tts html":
            place.write_bytes(b"<html>502 Bad Gateway</html>")
        elif state["mode"] != "tts offline":
            place.write_bytes(MP3)
        if not place.exists():
            raise Refusal(
                500,
                "处理TTS请求失败: cannot access local variable 'e' where it is not associated with a value",
            )
        self.reply(200, "audio/wav", place.read_bytes())

    def check_form(self, form):
        for name, kind in TALKER_FORM.items():
            value = form.get(name)
            if value is not None and isinstance(kind, set) and value.lower() not in kind:
                raise Refusal(422, [{"loc": ["body", name]}])
            if value is not None and not isinstance(kind, set):
                kind(value)
        for name in ("source_image", "driven_audio"):
            if not isinstance(form.get(name), bytes):
                raise Refusal(422, [{"loc": ["body", name], "msg": "field required"}])

    def talk(self, form):
        self.check_form(form)
        mode, method = state["mode"], form.get("talker_method", "SadTalker")
        plain = {name: value for name, value in form.items() if isinstance(value, str)}
        state["asked"].append({**plain, "sound_starts": form["driven_audio"][:4].decode("latin1")})
        if state["models"]["talker"] is None:
            raise Refusal(400, "Talker model not loaded. Please load a model first.")
        if method != state["models"]["talker"]:
            raise Refusal(500, "Video generation failed: 'Wav2Lip' object has no attribute 'test2'")
        failures = {
            "500": "'epoch'",
            "no face, cropped": "exceptions must derive from BaseException",
            "no face, resized": "index 0 is out of bounds for axis 0 with size 0",
            "no face, Wav2Lip": "Face not detected! Ensure the video contains a face in all the frames.",
            "new numpy": "setting an array element with a sequence. The requested array has an inhomogeneous shape "
            "after 1 dimensions. The detected shape was (5,) + inhomogeneous part.",
            "out of memory": "CUDA out of memory. Tried to allocate 512.00 MiB",
        }
        if mode in failures:
            raise Refusal(500, f"Video generation failed: {failures[mode]}")
        picture, sound = FOLDER / "temp_source_image.jpg", FOLDER / "temp_driven_audio.wav"
        picture.write_bytes(form["source_image"])
        sound.write_bytes(form["driven_audio"])
        if mode == "hangs":
            wait_for_another_mode()
        result = FOLDER / FIXED.get(method, f"{uuid.uuid4()}.mp4")
        drawn = sorted((name, value) for name, value in plain.items() if name != "batch_size")
        content = drawn, form["source_image"], form["driven_audio"]
        colour = hashlib.sha256(repr(content).encode()).digest()[0]
        if "no ffmpeg" not in mode:
            write_video(result, form["driven_audio"], 20 if method == "SadTalker" else 25, colour, mode)
        time.sleep(0.05)
        picture.unlink()  # a second run has taken it away by now
        sound.unlink()
        if "no ffmpeg" in mode and method == "SadTalker":
            command = 'ffmpeg -y -hide_banner -loglevel error -i "temp.mp4" -i "temp_driven_audio.wav" -vcodec copy "x.mp4"'
            raise Refusal(
                500, f"Video generation failed: Command '{command}' returned non-zero exit status 127."
            )
        if not result.exists():
            raise Refusal(500, "Video generation failed: 404: Video file not found")
        pages = {"html": b"<html><title>504 Gateway Time-out</title></html>", "empty": b""}
        self.reply(
            200,
            "video/mp4",
            pages.get(mode, result.read_bytes()),
            file=result.stat(),
            cut=mode == "cut off",
            stall=mode == "stalls",
        )

    def reply(self, status, kind, body, file=None, cut=False, stall=False):
        self.send_response(status)  # with its date
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if file is not None and "no headers" not in state["mode"]:
            tag = hashlib.md5(f"{file.st_mtime}-{file.st_size}".encode(), usedforsecurity=False)
            self.send_header("Last-Modified", email.utils.formatdate(file.st_mtime, usegmt=True))
            self.send_header("ETag", f'"{tag.hexdigest()}"')
        self.end_headers()
        if cut or stall:
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            if stall:
                wait_for_another_mode()
            self.close_connection = True
        else:
            self.wfile.write(body)


start_anew()
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_address[1], flush=True)
server.serve_forever()
