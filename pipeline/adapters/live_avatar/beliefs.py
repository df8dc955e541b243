"""What the driver takes for granted about Live Avatar, and where in its source that is written."""

from __future__ import annotations

from pipeline.adapters.live_avatar.settings import BATCH_ENTRY, ENTRY
from pipeline.beliefs import Belief, Source

_README = "README.md"
_SINGLE_SCRIPT = "infinite_inference_single_gpu.sh"
_MULTI_SCRIPT = "infinite_inference_multi_gpu.sh"
_SINGLE = "liveavatar/models/wan/causal_s2v_pipeline.py"
_MULTI = "liveavatar/models/wan/causal_s2v_pipeline_tpp.py"
_SOUND = "liveavatar/models/wan/wan_2_2/modules/s2v/audio_encoder.py"
_FILES = "liveavatar/models/wan/wan_2_2/utils/utils.py"
_MODEL = "liveavatar/models/wan/wan_2_2/configs/wan_s2v_14B_modified.py"
_SHARED = "liveavatar/models/wan/wan_2_2/configs/shared_config.py"
_WEIGHTS = "liveavatar/utils/load_weight_utils.py"
_FP8 = "liveavatar/utils/fp8_linear.py"
_COMPILING = "liveavatar/models/wan/inference_utils.py"

SOURCE = Source(
    home="Alibaba-Quark/LiveAvatar",
    commit="9c2c38d",
    beliefs=(
        Belief("run one GPU with offload_model", _SINGLE_SCRIPT, 12, "--offload_model True"),
        Belief("run five GPUs without offload_model", _MULTI_SCRIPT, 12, "--offload_model False"),
        Belief(
            "run with torchrun at port 29101 on one GPU",
            _SINGLE_SCRIPT,
            6,
            "--nproc_per_node=1 --master_port=29101",
        ),
        Belief(
            "run with torchrun at port 29102 on five GPUs",
            _MULTI_SCRIPT,
            6,
            "--nproc_per_node=5 --master_port=29102",
        ),
        Belief("run with --fp8", _SINGLE_SCRIPT, 27, "--fp8"),
        Belief(
            "run with the distilled weights by their name on the hub",
            _SINGLE_SCRIPT,
            19,
            '--lora_path_dmd "Quark-Vision/Live-Avatar"',
        ),
        Belief("run with the euler solver", _SINGLE_SCRIPT, 24, "--sample_solver euler"),
        Belief(
            "have its distilled weights downloaded to ckpt/LiveAvatar",
            _README,
            157,
            "huggingface-cli download Quark-Vision/Live-Avatar --local-dir ./ckpt/LiveAvatar",
        ),
        Belief(
            "have the base model downloaded to ckpt/Wan2.2-S2V-14B",
            _README,
            156,
            "huggingface-cli download Wan-AI/Wan2.2-S2V-14B --local-dir ./ckpt/Wan2.2-S2V-14B",
        ),
        Belief("take --offload_model as a word for true or false", ENTRY, 118, "type=str2bool"),
        Belief("take --task s2v-14B alone", ENTRY, 531, 'assert False, "Only s2v is supported for now."'),
        Belief("take a limit of frames a clip as --infer_frames", ENTRY, 257, '"--infer_frames"'),
        Belief("take a most number of clips as --num_clip", ENTRY, 215, '"--num_clip"'),
        Belief("take --save_file as the place of the video", ENTRY, 143, '"--save_file"'),
        Belief("have --enable_online_decode", ENTRY, 323, '"--enable_online_decode"'),
        Belief("have --offload_kv_cache", ENTRY, 318, '"--offload_kv_cache"'),
        Belief("have --fp8", ENTRY, 328, '"--fp8"'),
        Belief(
            "take a portrait of its own where none is given",
            ENTRY,
            54,
            'args.image = EXAMPLE_PROMPT[args.task]["image"]',
        ),
        Belief("run on one GPU or on five and more", ENTRY, 372, "assert world_size >= 5"),
        Belief("denoise on four of several GPUs", ENTRY, 373, "assert args.num_gpus_dit == 4"),
        Belief(
            "decode on a GPU of its own where there are several",
            ENTRY,
            374,
            "assert args.enable_vae_parallel is True",
        ),
        Belief("let the last GPU save where it decodes apart", ENTRY, 537, "save_rank = args.num_gpus_dit "),
        Belief(
            "print its own words as INFO on rank 0 alone",
            ENTRY,
            348,
            "logging.basicConfig(level=logging.ERROR)",
        ),
        Belief("print how many processes there are", ENTRY, 354, 'print(f"world_size: {world_size}")'),
        Belief(
            "print its arguments, the user's words among them",
            ENTRY,
            415,
            'logging.info(f"Generation job args: {args}")',
        ),
        Belief("print the prompt", ENTRY, 423, 'logging.info(f"Input prompt: {args.prompt}")'),
        Belief("print when the model is loaded", ENTRY, 500, 'logging.info(f"Generating video ...")'),
        Belief("print when all is denoised", ENTRY, 534, 'print(f"denoising video done")'),
        Belief(
            "print where it saves", ENTRY, 572, 'logging.info(f"Saving generated video to {args.save_file}")'
        ),
        Belief("write to output where no place is given", ENTRY, 569, 'args.save_dir = "./output/"'),
        Belief(
            "take + in the path of the sound for a second speaker's file", ENTRY, 542, "if '+' in args.audio:"
        ),
        Belief("give the seed of the request to the first clip", ENTRY, 519, "seed=args.base_seed,"),
        Belief("list samples in a YAML file", BATCH_ENTRY, 362, '"--sample_list"'),
        Belief(
            "know a sample by prompt, image, audio and num_clip",
            BATCH_ENTRY,
            77,
            "required_fields = ['prompt', 'image', 'audio', 'num_clip']",
        ),
        Belief(
            "print when a sample is begun",
            BATCH_ENTRY,
            656,
            'logging.info(f"Processing sample {idx}/{len(samples)}: {sample_name}")',
        ),
        Belief(
            "print when a sample is denoised",
            BATCH_ENTRY,
            440,
            'logging.info(f"Denoising video done for sample {sample_idx}")',
        ),
        Belief(
            "print when a sample is done",
            BATCH_ENTRY,
            670,
            'logging.info(f"Successfully completed sample {idx}: {sample_name}")',
        ),
        Belief(
            "print the prompt of a sample",
            BATCH_ENTRY,
            407,
            "logging.info(f\"  Prompt: {sample_data['prompt']}\")",
        ),
        Belief(
            "name the video of a sample by its number",
            BATCH_ENTRY,
            454,
            'save_file = f"sample_{sample_idx:04d}_',
        ),
        Belief("wait for all GPUs when a sample is saved", BATCH_ENTRY, 507, "dist.barrier()"),
        Belief(
            "end a batch with the first sample that fails",
            BATCH_ENTRY,
            673,
            "raise  # Stop on error as requested",
        ),
        Belief(
            "move the model aside in a batch as for one video",
            BATCH_ENTRY,
            430,
            "offload_model=args.offload_model,",
        ),
        Belief("begin with the model on the processor, whatever is asked", _SINGLE, 69, "init_on_cpu=True,"),
        Belief(
            "move what decodes to the processor for each clip, whatever is asked",
            _SINGLE,
            1008,
            "if offload_model or self.init_on_cpu:",
        ),
        Belief(
            "bring what decodes back at the end with offload_model alone", _SINGLE, 1147, "if offload_model:"
        ),
        Belief(
            "bring what decodes back for the first clip with offload_model alone",
            _SINGLE,
            1106,
            "if r == 0 and enable_online_decode:",
        ),
        Belief("make four caches on one GPU whatever the steps", _SINGLE, 981, "for gpu_id in range(4):"),
        Belief(
            "make a cache of as many tokens as a clip has",
            _SINGLE,
            959,
            "max_seq_len = np.prod(target_shape) // 4",
        ),
        Belief(
            "make each cache of 40 heads of 128 numbers",
            _SINGLE,
            611,
            '"k": torch.zeros([batch_size, kv_cache_size, 40, 128]',
        ),
        Belief(
            "keep the caches in the host's memory with offload_kv_cache",
            _SINGLE,
            606,
            'device =("cpu" if self.offload_kv_cache',
        ),
        Belief(
            "hold 2800 tokens of the condition on one GPU",
            _SINGLE,
            974,
            '"cond_k": torch.zeros([1, 2800, 40, 128]',
        ),
        Belief(
            "take a portrait as it is stored, turned or not",
            _SINGLE,
            757,
            "ref_image = np.array(Image.open(ref_image_path).convert('RGB'))",
        ),
        Belief(
            "take its size from the portrait, within the area asked for",
            _SINGLE,
            598,
            "target_area=max_area)",
        ),
        Belief(
            "make sides that are multiples of 64", _SINGLE, 382, "pad_height = (64 - new_height % 64) % 64"
        ),
        Belief(
            "make as many clips as the sound has, or fewer where fewer are asked for",
            _SINGLE,
            880,
            "if num_repeat is None or num_repeat > nr:",
        ),
        Belief("count the seed up clip by clip", _SINGLE, 942, "seed_g.manual_seed(seed + r)"),
        Belief(
            "print when portrait, sound and prompt are encoded",
            _SINGLE,
            919,
            'print("complete prepare conditional inputs")',
        ),
        Belief(
            "print when all is denoised on one GPU",
            _SINGLE,
            1145,
            'print(f"complete full-sequence generation")',
        ),
        Belief(
            "draw a bar of the steps for each block", _SINGLE, 1078, "for i, t in enumerate(tqdm(timesteps)):"
        ),
        Belief("drop the first three frames of the first clip", _SINGLE, 1170, "image = image[:, :, 3:]"),
        Belief("never use guidance: the null prompt goes nowhere", _SINGLE, 1025, "'context': context[0:1]"),
        Belief(
            "denoise a clip in blocks of three latents",
            _SINGLE,
            1047,
            "num_blocks = target_shape[0] // self.num_frames_per_block",
        ),
        Belief(
            "load the transformer onto the GPU before fp8 makes it smaller",
            _SINGLE,
            159,
            "device_map=self.device)",
        ),
        Belief(
            "hold 3000 tokens of the condition on each of several GPUs",
            _MULTI,
            616,
            "torch.zeros([batch_size, 3000, 40, 128]",
        ),
        Belief("give each of several GPUs one step", _MULTI, 1062, "if i != dist.get_rank():"),
        Belief("make one cache on each of several GPUs", _MULTI, 965, "if local_rank < num_gpus_dit:"),
        Belief(
            "wait for ever on several GPUs where a clip is one block",
            _MULTI,
            1113,
            "elif block_index == num_blocks-1: #broadcast ref to all ranks",
        ),
        Belief(
            "print when decoding keeps the others waiting",
            _MULTI,
            1101,
            'print(f"WARNING: VAE serves as a bottleneck!")',
        ),
        Belief("drop the first three frames on several GPUs", _MULTI, 1128, "image = image[:, :, 3:]"),
        Belief(
            "decode block by block on the last of several GPUs",
            _MULTI,
            1124,
            "image = torch.stack(self.vae.stream_decode(decode_latents))",
        ),
        Belief("read the sound at 16 kHz", _SOUND, 70, "librosa.load(audio_path, sr=16000)"),
        Belief("make 30 vectors of the sound a second", _SOUND, 64, "self.video_rate = 30"),
        Belief(
            "take wav2vec's vectors for 50 a second",
            _SOUND,
            86,
            "feat, input_fps=50, output_fps=self.video_rate)",
        ),
        Belief("round the vectors of the sound down", _SOUND, 48, "output_len = int(seq_len * output_fps)"),
        Belief(
            "count the clips from the vectors of the sound",
            _SOUND,
            178,
            "min_batch_num = int(audio_frame_num / (batch_frames * scale)) + 1",
        ),
        Belief("make 25 frames a second", _SHARED, 18, "wan_shared_cfg.sample_fps = 25"),
        Belief("have 40 layers", _MODEL, 31, "s2v_14B.transformer.num_layers = 40"),
        Belief(
            "remember 73 frames of what went before", _MODEL, 51, "s2v_14B.transformer.motion_frames = 73"
        ),
        Belief("make blocks of three latents", _MODEL, 65, "s2v_14B.num_frames_per_block = 3"),
        Belief("write H.264", _FILES, 115, "cache_file, fps=fps, codec='libx264', quality=8)"),
        Belief(
            "go on where the picture cannot be written",
            _FILES,
            120,
            "logging.info(f'save_video failed, error: {e}')",
        ),
        Belief(
            "fail where there is then no picture to join",
            _FILES,
            40,
            "video file {video_path} does not exist",
        ),
        Belief("end the video with the shorter of picture and sound", _FILES, 66, "'-shortest'"),
        Belief(
            "print where picture and sound were joined",
            _FILES,
            82,
            'logging.info(f"Merge completed, saved to {video_path}")',
        ),
        Belief(
            "go on where picture and sound cannot be joined",
            _FILES,
            87,
            'logging.error(f"merge_video_audio failed with error: {e}")',
        ),
        Belief(
            "take a file of weights that is there by its path", _WEIGHTS, 70, "if os.path.exists(file_path):"
        ),
        Belief(
            "seek weights that are not there on the hub",
            _WEIGHTS,
            74,
            'print(f"Downloading from HF Hub: {file_path}")',
        ),
        Belief("keep fetched weights in ckpt/LiveAvatar", _WEIGHTS, 79, 'cache_dir="ckpt/LiveAvatar"'),
        Belief(
            "print that weights could not be fetched, and go on",
            _WEIGHTS,
            83,
            'print(f"Failed to download from HF Hub: {e}, treating as local path")',
        ),
        Belief(
            "multiply numbers of eight bits with torch._scaled_mm", _FP8, 41, "out_2d = torch._scaled_mm("
        ),
        Belief(
            "compile what makes numbers of eight bits, whatever ENABLE_COMPILE says",
            _FP8,
            8,
            '@torch.compile(mode="max-autotune-no-cudagraphs"',
        ),
        Belief(
            "compile the model unless ENABLE_COMPILE is false",
            _COMPILING,
            5,
            'os.getenv("ENABLE_COMPILE", "true")',
        ),
    ),
)
"""Alibaba-Quark/LiveAvatar as it was read."""
