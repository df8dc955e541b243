"""What is taken for granted about Linly-Talker's services, and what they say where they fail."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipeline.beliefs import Belief, Source

if TYPE_CHECKING:
    from pipeline.adapters.http_service import Failures

SOURCE = Source(
    home="Kedreamix/Linly-Talker",
    commit="6342071",
    beliefs=(
        Belief(
            "offer SadTalker, Wav2Lip, Wav2Lipv2 and NeRFTalk",
            "api/talker_api.py",
            54,
            "if model_name not in ['SadTalker', 'Wav2Lip', 'Wav2Lipv2', 'NeRFTalk']",
        ),
        Belief(
            "say that a talker is not loaded",
            "api/talker_api.py",
            102,
            "Talker model not loaded. Please load a model first.",
        ),
        Belief(
            "keep the picture under a fixed name",
            "api/talker_api.py",
            121,
            'temp_image_path = "temp_source_image.jpg"',
        ),
        Belief(
            "keep the sound under a fixed name",
            "api/talker_api.py",
            122,
            'temp_audio_path = "temp_driven_audio.wav"',
        ),
        Belief(
            "hand SadTalker one argument too few, so that blinking and frame rate are lost",
            "api/talker_api.py",
            144,
            "REF_VIDEO, REF_INFO, USE_IDLE_MODE, AUDIO_LENGTH,",
        ),
        Belief(
            "put the frame rate where SadTalker reads whether to blink",
            "TFG/SadTalker.py",
            190,
            "length_of_audio = 0, use_blink=True, fps = 20,",
        ),
        Belief(
            "hand Wav2Lip no frame rate",
            "api/talker_api.py",
            149,
            "video_path = talker.predict(temp_image_path, temp_audio_path, request.batch_size)",
        ),
        Belief(
            "hand Wav2Lipv2 no frame rate",
            "api/talker_api.py",
            151,
            "video_path = talker.run(temp_image_path, temp_audio_path, request.batch_size)",
        ),
        Belief(
            "show NeRFTalk no picture",
            "api/talker_api.py",
            153,
            "video_path = talker.predict(temp_audio_path)",
        ),
        Belief(
            "answer with the file itself, which tells when it was written",
            "api/talker_api.py",
            159,
            "return FileResponse(video_path, media_type='video/mp4'",
        ),
        Belief(
            "put what went wrong behind these words",
            "api/talker_api.py",
            164,
            'detail=f"Video generation failed: {e}")',
        ),
        Belief(
            "write Wav2Lip's picture at 25 frames a second",
            "TFG/Wav2Lip.py",
            15,
            "self.fps = 25",
        ),
        Belief(
            "answer for Wav2Lip with one fixed file, whether or not ffmpeg wrote it",
            "TFG/Wav2Lip.py",
            169,
            "return 'results/example_answer.mp4'",
        ),
        Belief(
            "run ffmpeg for Wav2Lip without a look at how it ended",
            "TFG/Wav2Lip.py",
            168,
            "subprocess.call(command, shell=platform.system() != 'Windows')",
        ),
        Belief(
            "write Wav2Lip's picture only as long as whole windows of 16 steps of sound",
            "TFG/Wav2Lip.py",
            110,
            "if start_idx + self.mel_step_size > len(mel[0]):",
        ),
        Belief(
            "say that Wav2Lip finds no face",
            "TFG/Wav2Lip.py",
            253,
            "Face not detected! Ensure the video contains a face in all the frames.",
        ),
        Belief(
            "write Wav2Lipv2's picture at 25 frames a second",
            "TFG/Wav2Lipv2.py",
            90,
            "self.fps = 25",
        ),
        Belief(
            "take the first face of none in Wav2Lipv2",
            "TFG/Wav2Lipv2.py",
            217,
            "bbox = self.detect_face(frame.copy())[0][:5]",
        ),
        Belief(
            "answer for NeRFTalk with one fixed file",
            "TFG/NeRFTalk.py",
            129,
            'return os.path.join(opt.workspace, f"test_audio.mp4")',
        ),
        Belief(
            "write NeRFTalk's picture at 25 frames a second",
            "NeRF/nerf_triplane/utils.py",
            1046,
            "f'{name}.mp4'), all_preds, fps=25",
        ),
        Belief(
            "raise a text where SadTalker finds no face",
            "src/utils/croper.py",
            131,
            "raise 'can not detect the landmark from source image'",
        ),
        Belief(
            "take the first face of none where SadTalker does not crop",
            "src/face3d/extract_kp_videos_safe.py",
            75,
            "bboxes = bboxes[0]",
        ),
        Belief(
            "cut SadTalker's sound to whole frames",
            "src/generate_batch.py",
            20,
            "num_frames = int(audio_length / bit_per_frames)",
        ),
        Belief(
            "choose SadTalker's blinks from a range that is empty at 21 frames",
            "src/generate_batch.py",
            43,
            "start = random.choice(range(min(10,num_frames), min(int(num_frames/2), 70)))",
        ),
        Belief(
            "smooth SadTalker's pose with a window that needs 3 frames",
            "src/test_audio2coeff.py",
            90,
            "pose_len = int((pose_len-1)/2)*2+1",
        ),
        Belief(
            "fail in SadTalker where ffmpeg fails twice",
            "src/utils/videoio.py",
            28,
            "subprocess.run(cmd, shell=True, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)",
        ),
        Belief(
            "know 46 pose styles",
            "src/config/auido2pose.yaml",
            10,
            "NUM_CLASSES: 46",
        ),
        Belief(
            "read these weights for SadTalker",
            "src/utils/init_path.py",
            7,
            "'SadTalker_V0.0.2_'+str(size)+'.safetensors'",
        ),
        Belief(
            "read that mapping for SadTalker",
            "src/utils/init_path.py",
            22,
            "'mapping_00229-model.pth.tar'",
        ),
        Belief(
            "read these weights for Wav2Lip",
            "api/talker_api.py",
            64,
            'Wav2Lip("checkpoints/wav2lip_gan.pth")',
        ),
        Belief(
            "read these weights for Wav2Lipv2",
            "api/talker_api.py",
            68,
            "Wav2Lipv2('checkpoints/wav2lipv2.pth')",
        ),
        Belief(
            "find faces for Wav2Lipv2 with these weights",
            "TFG/Wav2Lipv2.py",
            79,
            "yolov8n-face/yolov8n-face.pt",
        ),
        Belief(
            "find landmarks for Wav2Lipv2 with these weights",
            "TFG/Wav2Lipv2.py",
            81,
            "wflw/hrnet18_256x256_p1/",
        ),
        Belief(
            "read these weights for NeRFTalk",
            "api/talker_api.py",
            73,
            "talker.init_model('checkpoints/Obama_ave.pth'",
        ),
        Belief(
            "hear for NeRFTalk with these weights",
            "NeRF/nerf_triplane/provider.py",
            164,
            "./checkpoints/audio_visual_encoder.pth",
        ),
        Belief(
            "hand EdgeTTS's text to a shell",
            "api/tts_api.py",
            119,
            'os.system(f\'edge-tts --text "{request.text}" --voice {request.voice} --write-media {request.save_path}',
        ),
        Belief(
            "read EdgeTTS's rate as a number with a point, which edge-tts refuses: its shell command always runs",
            "api/tts_api.py",
            22,
            "rate: float = 1.0",
        ),
        Belief(
            "write EdgeTTS's rate with that point",
            "TTS/EdgeTTS.py",
            139,
            "rate = f'+{rate}%'",
        ),
        Belief(
            "hand PaddleTTS's text to a shell",
            "TTS/PaddleTTS.py",
            120,
            'cmd = f\'paddlespeech tts --am {am} --voc {voc} --input "{text}" --output {save_path}',
        ),
        Belief(
            "run that command of PaddleTTS",
            "TTS/PaddleTTS.py",
            121,
            "os.system(cmd)",
        ),
        Belief(
            "answer with whatever has the name asked for",
            "api/tts_api.py",
            245,
            "if os.path.exists(request.save_path):",
        ),
        Belief(
            "say that EdgeTTS is not loaded",
            "api/tts_api.py",
            112,
            "EdgeTTS 模型未加载",
        ),
        Belief(
            "say that PaddleTTS is not loaded",
            "api/tts_api.py",
            126,
            "PaddleTTS 模型未加载",
        ),
        Belief(
            "say that GPT-SoVITS is not loaded",
            "api/tts_api.py",
            138,
            "GPT-SoVITS 模型未加载",
        ),
        Belief(
            "say that CosyVoice is not loaded",
            "api/tts_api.py",
            155,
            "CosyVoice 模型未加载",
        ),
        Belief(
            "keep the first CosyVoice it loads, whichever is asked for later",
            "api/tts_api.py",
            80,
            "if cosyvoice is None:",
        ),
        Belief(
            "take a recording of the voice",
            "api/tts_api.py",
            198,
            "ref_audio: Optional[UploadFile] = File(None)",
        ),
        Belief(
            "ask for a recording before it clones",
            "api/tts_api.py",
            162,
            "选择的模式需要提供 prompt 音频",
        ),
        Belief(
            "read the language of the text for GPT-SoVITS from ref_language",
            "api/tts_api.py",
            145,
            "text_language=request.ref_language, how_to_cut=request.cut_method,",
        ),
        Belief(
            "clone with GPT-SoVITS from 3 to 10 seconds alone",
            "VITS/GPT_SoVITS.py",
            378,
            "if (wav16k.shape[0] > 160000 or wav16k.shape[0] < 48000):",
        ),
        Belief(
            "read the last letter of the words of the recording",
            "VITS/GPT_SoVITS.py",
            367,
            "if (prompt_text[-1] not in splits)",
        ),
        Belief(
            "name Chinese for GPT-SoVITS so",
            "VITS/GPT_SoVITS.py",
            399,
            '"中文": "all_zh"',
        ),
        Belief(
            "name English for GPT-SoVITS so",
            "VITS/GPT_SoVITS.py",
            400,
            '"英文": "en"',
        ),
        Belief(
            "name Japanese for GPT-SoVITS so",
            "VITS/GPT_SoVITS.py",
            401,
            '"日文": "all_ja"',
        ),
        Belief(
            "clone the speaker with CosyVoice's 3s极速复刻",
            "api/tts_api.py",
            167,
            "elif request.cosyvoice_mode == '3s极速复刻':",
        ),
        Belief(
            "clone across languages with CosyVoice's 跨语种复刻",
            "api/tts_api.py",
            169,
            "elif request.cosyvoice_mode == '跨语种复刻':",
        ),
        Belief(
            "refuse a voice that CosyVoice-SFT does not have, and one of the cloning model",
            "VITS/CosyVoice.py",
            17,
            "assert spks in self.model.list_avaliable_spks() and 'SFT' in self.model_path",
        ),
        Belief(
            "repeat the question until a model is loaded",
            "api/llm_api.py",
            14,
            "llm = llm_class.init_model('直接回复 Direct Reply')",
        ),
        Belief(
            "answer with the question itself there",
            "LLM/__init__.py",
            70,
            "return question",
        ),
        Belief(
            "hand every model a system prompt",
            "api/llm_api.py",
            91,
            "answer = llm.generate(request.question, DEFAULT_SYSTEM)",
        ),
        Belief(
            "have no place for a system prompt in ChatGPT, which so fails at every question",
            "LLM/ChatGPT.py",
            16,
            "def generate(self, message):",
        ),
        Belief(
            "have no place for a system prompt in Gemini, which so fails at every question",
            "LLM/Gemini.py",
            17,
            "def generate(self, question):",
        ),
        Belief(
            "never tell GPT4Free the question where there is a system prompt",
            "LLM/GPT4Free.py",
            29,
            "if system_prompt else [] + self.history,",
        ),
        Belief(
            "take keys in the address, which its server writes to its log",
            "api/llm_api.py",
            33,
            "openai_apikey: str = Query(",
        ),
        Belief(
            "remember earlier questions in Qwen",
            "LLM/Qwen.py",
            34,
            "history=self.history, system = system_prompt)",
        ),
        Belief(
            "remember earlier questions in ChatGLM",
            "LLM/ChatGLM.py",
            28,
            "history=self.history)",
        ),
        Belief(
            "answer so where a model failed",
            "LLM/Qwen.py",
            39,
            "Sorry, your request has encountered an error. Please try again.",
        ),
    ),
)

WANTS_RECORDING = "选择的模式需要提供 prompt 音频"
"""What a CosyVoice that is loaded says where it is to clone and is given no recording."""

FAILURES: Failures = {
    "out_of_memory": (
        re.compile(r"out of memory|OutOfMemoryError", re.IGNORECASE),
        "take a smaller batch_size or size_of_image, or a GPU with more memory",
    ),
    "no_face": (
        re.compile(
            r"Face not detected!|exceptions must derive from BaseException|index 0 is out of bounds for axis 0 with size 0"
        ),
        "it found no face in the picture; use a picture of one face seen from the front",
    ),
    "not_loaded": (
        re.compile(
            r"Talker model not loaded|模型未加载|'(SadTalker|Wav2Lip|Wav2Lipv2|NeRFTalk)' object has no attribute"
            r"|predict\(\) (missing|takes)"
        ),
        "it no longer has the model that was loaded",
    ),
    "no_ffmpeg": (
        re.compile(r"'ffmpeg .*non-zero exit status 127"),
        "install ffmpeg where the service runs",
    ),
    "no_output": (
        re.compile(r"404: Video file not found"),
        "its ffmpeg wrote no video; install ffmpeg where the service runs, or see its log",
    ),
    "no_sound": (
        re.compile(r"local variable 'e'"),
        "no sound was made; edge-tts or paddlespeech is missing where the service runs, or its network is: see its log",
    ),
    "no_network": (
        re.compile(r"请检查网络连接|EdgeTTS 模型网络问题"),
        "EdgeTTS needs the internet where the service runs; give it that, or take another tts_method",
    ),
    "wrong_model": (
        re.compile(r"CosyVoice 预测失败: $"),
        "it keeps another CosyVoice that it loaded before; start it again",
    ),
    "bad_weights": (
        re.compile(
            r"invalid load key|PytorchStreamReader failed|HeaderTooLarge|InvalidHeader|MetadataIncompleteBuffer"
        ),
        "a file of weights is cut off, or a git-lfs pointer; fetch it again where the service runs",
    ),
    "weights_missing": (
        re.compile(r"No such file or directory: .*checkpoints|couldn't connect to 'https://huggingface"),
        "run scripts/download_models.sh where the service runs",
    ),
    "wrong_installation": (
        re.compile(
            r"inhomogeneous shape|mel\(\) takes|module 'numpy' has no attribute|has no attribute 'ANTIALIAS'"
        ),
        "its libraries are newer than its code; install the versions of requirements_webui.txt",
    ),
}
"""Kind of an error, to what the services say then and the cure."""
