"""Stands in for scripts/inference.py of MuseTalk at 0a89dec: its flags, its configuration, its words, its failures."""

import argparse
import json  # the configuration that is given is JSON, which is YAML too
import os
import shutil
import time

import cv2
from film import length_of, note_arguments, write_film

parser = argparse.ArgumentParser()
parser.add_argument("--ffmpeg_path", type=str, default="./ffmpeg-4.4-amd64-static/")
parser.add_argument("--gpu_id", type=int, default=0)
parser.add_argument("--vae_type", type=str, default="sd-vae")
parser.add_argument("--unet_config", type=str, default="./models/musetalk/config.json")
parser.add_argument("--unet_model_path", type=str, default="./models/musetalkV15/unet.pth")
parser.add_argument("--whisper_dir", type=str, default="./models/whisper")
parser.add_argument("--inference_config", type=str, default="configs/inference/test_img.yaml")
parser.add_argument("--bbox_shift", type=int, default=0)
parser.add_argument("--result_dir", default="./results")
parser.add_argument("--extra_margin", type=int, default=10)
parser.add_argument("--fps", type=int, default=25)
parser.add_argument("--audio_padding_length_left", type=int, default=2)
parser.add_argument("--audio_padding_length_right", type=int, default=2)
parser.add_argument("--batch_size", type=int, default=8)
parser.add_argument("--output_vid_name", type=str, default=None)
parser.add_argument("--use_saved_coord", action="store_true")
parser.add_argument("--saved_coord", action="store_true")
parser.add_argument("--use_float16", action="store_true")
parser.add_argument("--parsing_mode", default="jaw")
parser.add_argument("--left_cheek_width", type=int, default=90)
parser.add_argument("--right_cheek_width", type=int, default=90)
parser.add_argument("--version", type=str, default="v15", choices=["v1", "v15"])
args = parser.parse_args()
note_arguments(args)
mode = os.environ["STAND_IN"]

print(f"load unet model from {args.unet_model_path}")
with open(args.unet_config), open(args.unet_model_path), open(args.inference_config) as file:
    config = json.load(file)
print("Loaded inference config:", config, flush=True)


def run(task):
    """Make the video of one task."""
    person, sound = task["video_path"], task["audio_path"]
    folder = os.path.join(args.result_dir, args.version)
    name = os.path.basename(person).split(".")[0]
    frames = os.path.join(folder, f"{name}_{os.path.basename(sound).split('.')[0]}")
    coordinates = os.path.join(args.result_dir, "../", f"{name}.pkl")
    os.makedirs(frames, exist_ok=True)
    if " " in person + sound + folder:
        raise OSError("ffmpeg was given a path with a space in it")
    if os.path.splitext(person)[1] in {".jpg", ".jpeg", ".png"}:
        frame, fps = cv2.imread(person), args.fps
    else:
        full = os.path.join(folder, name)
        os.makedirs(full)
        stream = cv2.VideoCapture(person)
        frame, fps = stream.read()[1], stream.get(cv2.CAP_PROP_FPS)
    sound_s = length_of(sound)
    n_frames = int(sound_s * int(fps))
    if int(fps) >= 50:
        print("Error occurred: ")
        raise SystemExit  # as its exit() does, and the status is 0
    print("Extracting landmarks... time-consuming operation")
    print("reading images...")
    print("get key_landmark and face bounding boxes with the default value")
    with open(coordinates, "w") as file:
        file.write("coordinates")
    if mode == "no face":
        sum([]) / len([])
    print("Number of frames: 1")
    print("Starting inference", flush=True)
    if mode == "out of memory" or (mode == "out of memory in the second" and "0002" in name):
        raise RuntimeError("CUDA out of memory. Tried to allocate 512.00 MiB")
    if mode == "hangs" or (mode == "hangs in the second" and "0002" in name):
        time.sleep(600)
    print("Padding generated images to original video size")
    print(
        "Video generation command:",
        f"ffmpeg -y -v warning -r {fps} -f image2 -i {frames}/%08d.png",
        flush=True,
    )
    out = os.path.join(folder, task["result_name"])
    write_film(
        out,
        n_frames=n_frames // 2 if mode == "cut off" else n_frames,
        fps=fps,
        size=(frame.shape[1], frame.shape[0]),
        sound_s=0 if mode == "silent" else sound_s,
    )
    print("Audio combination command:", f"ffmpeg -y -v warning -i {sound} -i {frames}.mp4 {out}")
    shutil.rmtree(frames)
    shutil.rmtree(full)  # which only a video has
    os.remove(coordinates)
    print(f"Results saved to {out}")


for task in config.values():
    try:
        run(task)
    except Exception as error:
        print("Error occurred during processing:", error, flush=True)
