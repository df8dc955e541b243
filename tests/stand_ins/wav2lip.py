"""Stands in for Wav2Lip's inference.py: its flags, its fixed names, its messages, its ways to fail."""

import argparse
import os
import shutil
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--checkpoint_path", type=str, required=True)
parser.add_argument("--face", type=str, required=True)
parser.add_argument("--audio", type=str, required=True)
parser.add_argument("--outfile", type=str, default="results/result_voice.mp4")
parser.add_argument("--static", type=bool, default=False)
parser.add_argument("--fps", type=float, default=25.0)
parser.add_argument("--pads", nargs="+", type=int, default=[0, 10, 0, 0])
parser.add_argument("--face_det_batch_size", type=int, default=16)
parser.add_argument("--wav2lip_batch_size", type=int, default=128)
parser.add_argument("--resize_factor", default=1, type=int)
parser.add_argument("--crop", nargs="+", type=int, default=[0, -1, 0, -1])
parser.add_argument("--box", nargs="+", type=int, default=[-1, -1, -1, -1])
parser.add_argument("--rotate", default=False, action="store_true")
parser.add_argument("--nosmooth", default=False, action="store_true")
args = parser.parse_args()
mode = os.environ["STAND_IN"]

print("Using cuda for inference.")
print("args", args)
if args.face.split(".")[1] not in ["jpg", "png", "jpeg"]:
    print("Reading video frames...")
if not os.path.isfile(args.face) or not os.path.isfile(args.audio):
    sys.exit("no input")
if mode == "no face":
    raise ValueError("Face not detected! Ensure the video contains a face in all the frames.")
if mode == "out of memory":
    print("Recovering from OOM error; New batch size: 1")
    raise RuntimeError("Image too big to run face detection on GPU. Please use the --resize_factor argument")
if mode == "lfs":
    raise RuntimeError("_pickle.UnpicklingError: invalid load key, 'v'.")
print(f"Load checkpoint from: {args.checkpoint_path}")
print("Model loaded", flush=True)
if mode == "hangs":
    time.sleep(600)
with open("temp/result.avi", "x") as pictures:  # its fixed name: a second run at once would find it there
    pictures.write("frames")
if mode == "good":
    shutil.copyfile(os.environ["VIDEO"], args.outfile)
elif mode == "silent":
    shutil.copyfile(os.environ["SILENT"], args.outfile)
# where ffmpeg is missing, its command fails, nobody looks at its status, and the exit status is 0
