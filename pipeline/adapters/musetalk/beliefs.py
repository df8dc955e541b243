"""What the driver takes for granted about MuseTalk, and where that stands in its code."""

from __future__ import annotations

from pipeline.beliefs import Belief, Source

_CODE = "scripts/inference.py"

SOURCE = Source(
    "TMElyralab/MuseTalk",
    "0a89dec",
    (
        Belief("say so when its models are loaded", _CODE, 81, "Loaded inference config:"),
        Belief("go through all tasks of its configuration", _CODE, 84, "for task_id in inference_config"),
        Belief("take the person of a task by video_path", _CODE, 87, '["video_path"]'),
        Belief("take the sound of a task by audio_path", _CODE, 88, '["audio_path"]'),
        Belief("take the name of its video by result_name", _CODE, 90, '["result_name"]'),
        Belief("shift the box in v1 only", _CODE, 94, "v15 uses fixed bbox_shift"),
        Belief("name folders by what precedes the first dot", _CODE, 99, "split('.')[0]"),
        Belief("put videos into a folder named like the model", _CODE, 104, 'f"{args.version}"'),
        Belief("put coordinates beside the folder of results", _CODE, 109, '"../", input_basename+".pkl"'),
        Belief("hand paths to a shell as they are", _CODE, 123, "-i {video_path} -start_number 0"),
        Belief("give a video the frame rate it has", _CODE, 126, "get_video_fps(video_path)"),
        Belief("give a picture the rate of --fps", _CODE, 129, "fps = args.fps"),
        Belief(
            "look for the face before it says so",
            _CODE,
            157,
            "Extracting landmarks... time-consuming operation",
        ),
        Belief("say when it begins to draw", _CODE, 184, "Starting inference"),
        Belief("widen the box in v15 only", _CODE, 215, "y2 = y2 + args.extra_margin"),
        Belief("leave out frames without a face", _CODE, 220, "continue"),
        Belief("parse as --parsing_mode says in v15 only", _CODE, 224, "mode=args.parsing_mode"),
        Belief(
            "encode with libx264, which takes even sides only",
            _CODE,
            231,
            "-vcodec libx264 -vf format=yuv420p",
        ),
        Belief("not look whether ffmpeg did it", _CODE, 233, "os.system(cmd_img2video)"),
        Belief(
            "join whatever pictures and sound it is given", _CODE, 235, "-i {audio_path} -i {temp_vid_path}"
        ),
        Belief("fail to clean up after a picture", _CODE, 243, "shutil.rmtree(save_dir_full)"),
        Belief("say where it put the video of a video", _CODE, 247, "Results saved to"),
        Belief("go on after any error", _CODE, 249, "Error occurred during processing:"),
        Belief("look for ffmpeg in a folder of its own too", _CODE, 253, "./ffmpeg-4.4-amd64-static/"),
        Belief("take the configuration of the weights by --unet_config", _CODE, 256, '"--unet_config"'),
        Belief("take the weights by --unet_model_path", _CODE, 257, '"--unet_model_path"'),
        Belief("take whisper by --whisper_dir", _CODE, 258, '"--whisper_dir"'),
        Belief("take its configuration by --inference_config", _CODE, 259, '"--inference_config"'),
        Belief("take --bbox_shift", _CODE, 260, '"--bbox_shift", type=int'),
        Belief("take the place of videos by --result_dir", _CODE, 261, '"--result_dir"'),
        Belief("take --extra_margin", _CODE, 262, '"--extra_margin", type=int'),
        Belief("take whole numbers by --fps", _CODE, 263, '"--fps", type=int'),
        Belief("take --batch_size", _CODE, 266, '"--batch_size", type=int'),
        Belief("take --use_float16 as a switch", _CODE, 270, '"--use_float16", action="store_true"'),
        Belief("take --parsing_mode", _CODE, 271, '"--parsing_mode"'),
        Belief("take --left_cheek_width", _CODE, 272, '"--left_cheek_width", type=int'),
        Belief("take --right_cheek_width", _CODE, 273, '"--right_cheek_width", type=int'),
        Belief("take the model by --version", _CODE, 274, 'choices=["v1", "v15"]'),
        Belief("need these weights for v1", "inference.sh", 37, "$model_dir/pytorch_model.bin"),
        Belief("and these for v15", "inference.sh", 42, "$model_dir/unet.pth"),
        Belief("know the mode neck", "musetalk/utils/face_parsing/__init__.py", 93, 'mode == "neck"'),
        Belief(
            "use cheek widths in the mode jaw only",
            "musetalk/utils/face_parsing/__init__.py",
            101,
            "self.cheek_mask",
        ),
        Belief(
            "divide by the number of frames with a face",
            "musetalk/utils/preprocessing.py",
            135,
            "int(sum(average_range_minus) / len(average_range_minus))",
        ),
        Belief("round frame rates down", "musetalk/utils/audio_processor.py", 61, "fps = int(fps)"),
        Belief(
            "make whole frames only",
            "musetalk/utils/audio_processor.py",
            63,
            "math.floor((librosa_length / sr) * fps)",
        ),
        Belief(
            "add too little after the sound from 50 on",
            "musetalk/utils/audio_processor.py",
            74,
            "padding_nums * 3",
        ),
        Belief(
            "end everything well where it is too little", "musetalk/utils/audio_processor.py", 90, "exit()"
        ),
    ),
)
