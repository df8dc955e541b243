"""Stands in for the HTTP services of Linly-Talker: endpoints, forms, fixed names and failures as they have them.

All three services at one port. ``POST /stand_in?mode=…`` chooses how the next answers fail, ``POST /stand_in`` starts
anew, ``GET /stand_in`` tells what was asked and how often two requests met.
"""

import email.parser
import email.policy
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

TALKERS = ["SadTalker", "Wav2Lip", "Wav2Lipv2", "NeRFTalk"]
SPEAKERS = ["EdgeTTS", "PaddleTTS", "GPT-SoVITS克隆声音", "CosyVoice-SFT模式", "CosyVoice-克隆翻译模式"]
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
VIDEO, SILENT, MP3 = (Path(name).read_bytes() for name in sys.argv[1:4])
FOLDER = Path(sys.argv[4])

state = {}
at_work = threading.Semaphore(1)


def start_anew():
    models = {"talker": None, "tts": None, "llm": "直接回复"}
    state.update({"mode": "good", "models": models, "asked": [], "n_met": 0})
    for path in FOLDER.iterdir():
        path.unlink()


def wait_for_another_mode():
    mode = state["mode"]
    while state["mode"] == mode:
        time.sleep(0.02)


class Refusal(Exception):
    def __init__(self, status, detail):
        self.status, self.detail = status, detail


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

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
                "llm failed": b'{"answer": "Sorry, your request has encountered an error."}',
                "llm empty": b'{"answer": ""}',
                "llm dollars": b'{"answer": "It costs $5"}',
            }
            answer = json.dumps({"answer": f'You said "{question}"'}).encode()
            return self.reply(200, "application/json", answers.get(state["mode"], answer))
        form = self.form(body)
        return self.speak(form) if service == "tts" else self.talk(form)

    def change_model(self, service, model):
        if state["mode"] == "no model":
            raise Refusal(500, f"Failed to load {model} model: CUDA out of memory. Tried to allocate 2 GiB")
        known = {"talker": TALKERS, "tts": SPEAKERS}.get(service)
        if known is not None and model not in known:
            raise Refusal(400, "Other models are not integrated yet. Please wait for updates.")
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
            name: part.get_payload(decode=True) if part.get_filename() else part.get_content().strip()
            for name, part in parts.items()
        }

    def speak(self, form):
        """EdgeTTS: a shell command in the end, MP3 under the name of a WAV file, an old file where it failed."""
        state["asked"].append(form)
        place = FOLDER / form.get("save_path", "answer.wav")
        if state["mode"] == "tts html":
            place.write_bytes(b"<html>502 Bad Gateway</html>")
        elif state["mode"] != "tts offline":
            place.write_bytes(MP3)
        if not place.exists():
            raise Refusal(500, "处理TTS请求失败: local variable 'e' referenced before assignment")
        self.reply(200, "audio/wav", place.read_bytes())

    def talk(self, form):
        for name, kind in TALKER_FORM.items():
            value = form.get(name)
            if value is not None and isinstance(kind, set) and value.lower() not in kind:
                raise Refusal(422, [{"loc": ["body", name]}])
            if value is not None and not isinstance(kind, set):
                kind(value)
        for name in ("source_image", "driven_audio"):
            if not isinstance(form.get(name), bytes):
                raise Refusal(422, [{"loc": ["body", name], "msg": "field required"}])
        mode, method = state["mode"], form.get("talker_method", "SadTalker")
        plain = {name: value for name, value in form.items() if isinstance(value, str)}
        state["asked"].append({**plain, "sound_starts": form["driven_audio"][:4].decode("latin1")})
        if state["models"]["talker"] is None:
            raise Refusal(400, "Talker model not loaded. Please load a model first.")
        if method != state["models"]["talker"]:
            raise Refusal(500, "Video generation failed: 'Wav2Lip' object has no attribute 'test2'")
        failures = {
            "500": "",
            "no face": "No face is detected",
            "out of memory": "CUDA out of memory. Tried to allocate 512.00 MiB",
            "lost": "404: Video file not found",
        }
        if mode in failures:
            raise Refusal(500, f"Video generation failed: {failures[mode]}")
        picture, sound = FOLDER / "temp_source_image.jpg", FOLDER / "temp_driven_audio.wav"
        picture.write_bytes(form["source_image"])
        sound.write_bytes(form["driven_audio"])
        if mode == "hangs":
            wait_for_another_mode()
        result = FOLDER / "example_answer.mp4"
        result.write_bytes(SILENT if mode == "silent" else VIDEO)
        time.sleep(0.05)
        picture.unlink()  # a second run has taken it away by now
        sound.unlink()
        data = result.read_bytes()
        pages = {"html": b"<html><title>504 Gateway Time-out</title></html>", "empty": b""}
        self.reply(200, "video/mp4", pages.get(mode, data), cut=mode == "cut off", stall=mode == "stalls")

    def reply(self, status, kind, body, cut=False, stall=False):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
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
