/**
 * The template that Qwen2.5-Omni checkpoints ship, for a checkpoint without one.
 *
 * Source: chat_template.json of Qwen/Qwen2.5-Omni-7B.
 */
export const OMNI_CHAT_TEMPLATE = [
  "{% set audio_count = namespace(value=0) %}",
  "{% set image_count = namespace(value=0) %}",
  "{% set video_count = namespace(value=0) %}",
  "{% for message in messages %}",
  "{% if loop.first and message['role'] != 'system' %}",
  "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n",
  "{% endif %}",
  "<|im_start|>{{ message['role'] }}\n",
  "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n",
  "{% else %}{% for content in message['content'] %}",
  "{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}",
  "{% set image_count.value = image_count.value + 1 %}",
  "{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}",
  "<|vision_bos|><|IMAGE|><|vision_eos|>",
  "{% elif content['type'] == 'audio' or 'audio' in content or 'audio_url' in content %}",
  "{% set audio_count.value = audio_count.value + 1 %}",
  "{% if add_audio_id %}Audio {{ audio_count.value }}: {% endif %}",
  "<|audio_bos|><|AUDIO|><|audio_eos|>",
  "{% elif content['type'] == 'video' or 'video' in content %}",
  "{% set video_count.value = video_count.value + 1 %}",
  "{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}",
  "<|vision_bos|><|VIDEO|><|vision_eos|>",
  "{% elif 'text' in content %}{{ content['text'] }}{% endif %}",
  "{% endfor %}<|im_end|>\n{% endif %}{% endfor %}",
  "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
].join("");

/**
 * The template that Qwen2.5-VL checkpoints ship, for a checkpoint without one.
 *
 * Source: chat_template.json of Qwen/Qwen2.5-VL-7B-Instruct.
 */
export const QWEN2_5_VL_CHAT_TEMPLATE = [
  "{% set image_count = namespace(value=0) %}",
  "{% set video_count = namespace(value=0) %}",
  "{% for message in messages %}",
  "{% if loop.first and message['role'] != 'system' %}",
  "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n",
  "{% endif %}",
  "<|im_start|>{{ message['role'] }}\n",
  "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n",
  "{% else %}{% for content in message['content'] %}",
  "{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}",
  "{% set image_count.value = image_count.value + 1 %}",
  "{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}",
  "<|vision_start|><|image_pad|><|vision_end|>",
  "{% elif content['type'] == 'video' or 'video' in content %}",
  "{% set video_count.value = video_count.value + 1 %}",
  "{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}",
  "<|vision_start|><|video_pad|><|vision_end|>",
  "{% elif 'text' in content %}{{ content['text'] }}{% endif %}",
  "{% endfor %}<|im_end|>\n{% endif %}{% endfor %}",
  "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
].join("");

/**
 * The template of Qwen2-Audio, for a checkpoint without one: it always numbers the audio clips.
 *
 * Source: Qwen2AudioProcessor.default_chat_template, transformers 4.57.6.
 */
export const QWEN2_AUDIO_CHAT_TEMPLATE = [
  "{% set audio_count = namespace(value=0) %}",
  "{% for message in messages %}",
  "{% if loop.first and message['role'] != 'system' %}",
  "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n",
  "{% endif %}",
  "<|im_start|>{{ message['role'] }}\n",
  "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n",
  "{% else %}{% for content in message['content'] %}",
  "{% if 'audio' in content or 'audio_url' in content or message['type'] == 'audio' or ",
  "content['type'] == 'audio' %}",
  "{% set audio_count.value = audio_count.value + 1 %}",
  "Audio {{ audio_count.value }}: <|audio_bos|><|AUDIO|><|audio_eos|>\n",
  "{% elif 'text' in content %}{{ content['text'] }}{% endif %}",
  "{% endfor %}<|im_end|>\n{% endif %}{% endfor %}",
  "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
].join("");
