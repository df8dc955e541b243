"""What is taken for granted about Live Avatar's page and about making several videos in one process."""

from __future__ import annotations

from pipeline.beliefs import Belief, Source

_PAGE = "minimal_inference/gradio_app.py"
_VAE = "liveavatar/models/wan/wan_2_2/modules/vae_streaming.py"

SOURCE_WARM = Source(
    "Alibaba-Quark/LiveAvatar",
    "9c2c38d",
    (
        Belief("take fp8 when its page starts", _PAGE, 269, '"--fp8"'),
        Belief("write where --save_dir says", _PAGE, 148, '"--save_dir"'),
        Belief("serve its page at --server_name", _PAGE, 927, "server_name=args.server_name"),
        Belief("serve its page at --server_port", _PAGE, 928, "server_port=args.server_port"),
        Belief("offload as its start said, for every video", _PAGE, 549, "global_args.offload_model"),
        Belief(
            "end what it asks of the model here, with no online decoding",
            _PAGE,
            556,
            "input_video_for_sam2=None",
        ),
        Belief("make a video with generate_wrapper", _PAGE, 841, "fn=generate_wrapper"),
        Belief(
            "take prompt, image, audio and num_clip, in that order",
            _PAGE,
            843,
            "prompt_input, image_input, audio_input, num_clip_input",
        ),
        Belief(
            "take sample_steps, sample_guide_scale and infer_frames next",
            _PAGE,
            844,
            "sample_steps_input, sample_guide_scale_input, infer_frames_input",
        ),
        Belief(
            "take size, base_seed and the solver last",
            _PAGE,
            845,
            "size_input, base_seed_input, sample_solver_input",
        ),
        Belief("make nothing without a prompt", _PAGE, 788, "if not prompt or not image or not audio"),
        Belief("take 10000 clips at most", _PAGE, 678, "maximum=10000"),
        Belief("take 16 frames a clip at least", _PAGE, 700, "minimum=16"),
        Belief("take 160 frames a clip at most", _PAGE, 701, "maximum=160"),
        Belief("say where the video is, and only then", _PAGE, 800, "Video saved at: {video_path}"),
        Belief("name the video by the second and the prompt", _PAGE, 568, "{formatted_time}_"),
        Belief("go on after a failure", _PAGE, 617, "Error during generation: "),
        Belief("wait for the next request on the other ranks", _PAGE, 867, "while True"),
        Belief(
            "log before it sets logging up, so that it says warnings and errors alone",
            _PAGE,
            918,
            'logging.info("Initializing pipeline...")',
        ),
        Belief("ask for no version of gradio", "requirements.txt", 44, "gradio"),
        Belief("forget the video before when it encodes the next portrait", _VAE, 519, "def encode"),
        Belief("forget what it decoded too", _VAE, 520, "self.clear_cache()"),
    ),
)
"""The page, and what it carries from one video to the next."""
