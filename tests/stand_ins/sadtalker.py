"""Stands in for SadTalker's inference.py at cd4c046: its flags, its file named by the time, its words, its failures."""

import os
import shutil
import sys
import time
from argparse import ArgumentParser

import numpy as np
from film import length_of, note_arguments, write_film

parser = ArgumentParser()
parser.add_argument("--driven_audio", default="./examples/driven_audio/bus_chinese.wav")
parser.add_argument("--source_image", default="./examples/source_image/full_body_1.png")
parser.add_argument("--ref_eyeblink", default=None)
parser.add_argument("--ref_pose", default=None)
parser.add_argument("--checkpoint_dir", default="./checkpoints")
parser.add_argument("--result_dir", default="./results")
parser.add_argument("--pose_style", type=int, default=0)
parser.add_argument("--batch_size", type=int, default=2)
parser.add_argument("--size", type=int, default=256)
parser.add_argument("--expression_scale", type=float, default=1.0)
parser.add_argument("--input_yaw", nargs="+", type=int, default=None)
parser.add_argument("--input_pitch", nargs="+", type=int, default=None)
parser.add_argument("--input_roll", nargs="+", type=int, default=None)
parser.add_argument("--enhancer", type=str, default=None)
parser.add_argument("--background_enhancer", type=str, default=None)
parser.add_argument("--cpu", dest="cpu", action="store_true")
parser.add_argument("--face3dvis", action="store_true")
parser.add_argument("--still", action="store_true")
parser.add_argument("--preprocess", default="crop", choices=["crop", "extcrop", "resize", "full", "extfull"])
parser.add_argument("--verbose", action="store_true")
parser.add_argument("--old_version", action="store_true")
args = parser.parse_args()
note_arguments(args)
mode = os.environ["STAND_IN"]

save_dir = os.path.join(args.result_dir, time.strftime("%Y_%m_%d_%H.%M.%S"))
os.makedirs(save_dir, exist_ok=True)
with open(os.path.join(os.path.split(sys.argv[0])[0], "src/config", "facerender.yaml")):
    print("using safetensor as default")
print("3DMM Extraction for source image", flush=True)
if mode == "no face":
    raise "can not detect the landmark from source image"  # noqa: B016 - as it does
if mode == "no face in the crop":
    np.zeros((0, 15))[0]
while mode == "out of memory while looking":
    print("Warning: out of memory, sleep for 1s", flush=True)
    time.sleep(0.05)
if mode == "out of memory once":
    print("Warning: out of memory, sleep for 1s", flush=True)
if mode == "out of memory":
    raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")
if mode == "hangs":
    time.sleep(600)
for reference in (args.ref_pose, args.ref_eyeblink):
    if reference is not None and not os.path.isfile(reference):
        raise ValueError("input_path must be a valid path to video/image file")
sound_s = length_of(args.driven_audio)
n_frames = int(int(sound_s * 16000) / (16000 / 25))
inner = os.path.join(save_dir, "face##speech.mp4")
if mode == "no ffmpeg":
    print("sh: 1: ffmpeg: not found")
    shutil.move("8a1f6a3c-3a5b-4a43-9f0e-6a5d6d3f2b11.mp4", inner)
write_film(
    inner,
    n_frames=n_frames // 2 if mode == "cut off" else n_frames,
    fps=25,
    size=(args.size, args.size),
    sound_s=0 if mode == "silent" else n_frames / 25,
)
print(f"The generated video is named {save_dir}/face##speech.mp4")
if mode != "loses it":
    shutil.move(inner, save_dir + ".mp4")
print("The generated video is named:", save_dir + ".mp4")
shutil.rmtree(save_dir)
if mode == "crashes after a warning":
    raise RuntimeError("something else")
