"""Architectures of transformers, made from small configurations."""

from importlib import import_module
from typing import Any

from torch import nn
from zoo_entry import CLASSES, Entry


def _transformer(
    name: str,
    model: str,
    configuration: str,
    options: dict[str, Any],
    *,
    kind: str,
    shape: tuple[int, ...],
    tokens: int = 0,
    output: tuple[str | int, ...] = ("logits",),
    axis: int = 1,
) -> Entry:
    def build() -> nn.Module:
        library = import_module("transformers")
        made: nn.Module = getattr(library, model)(getattr(library, configuration)(**options))
        return made

    return Entry(
        name=name,
        library="transformers",
        kind=kind,
        build=build,
        shape=shape,
        tokens=tokens,
        output=output,
        axis=axis,
    )


def _whisper_encoder() -> nn.Module:
    library = import_module("transformers")
    configuration = library.WhisperConfig(
        d_model=384, encoder_layers=4, encoder_attention_heads=6, encoder_ffn_dim=1536, max_source_positions=64
    )
    encoder: nn.Module = library.WhisperModel(configuration).encoder
    return encoder


_SMALL_TEXT = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 512}
TRANSFORMERS = (
    _transformer(
        "bert_tiny",
        "BertForSequenceClassification",
        "BertConfig",
        {**_SMALL_TEXT, "num_labels": 10},
        kind="text",
        shape=(32,),
        tokens=30_522,
    ),
    _transformer(
        "distilbert_tiny",
        "DistilBertForSequenceClassification",
        "DistilBertConfig",
        {"dim": 128, "n_layers": 2, "n_heads": 2, "hidden_dim": 512, "num_labels": 10},
        kind="text",
        shape=(32,),
        tokens=30_522,
    ),
    _transformer(
        "mobilebert_tiny",
        "MobileBertForSequenceClassification",
        "MobileBertConfig",
        {"num_hidden_layers": 3, "num_labels": 10},
        kind="text",
        shape=(32,),
        tokens=30_522,
    ),
    _transformer(
        "gpt2_tiny",
        "GPT2LMHeadModel",
        "GPT2Config",
        {"n_embd": 128, "n_layer": 2, "n_head": 2, "vocab_size": 2000, "use_cache": False},
        kind="text",
        shape=(24,),
        tokens=2000,
        axis=2,
    ),
    _transformer(
        "segformer_b0",
        "SegformerForSemanticSegmentation",
        "SegformerConfig",
        {"num_labels": 19},
        kind="segmentation",
        shape=(3, 64, 64),
    ),
    _transformer(
        "mobilevit_x_small",
        "MobileViTForImageClassification",
        "MobileViTConfig",
        {"hidden_sizes": [96, 120, 144], "neck_hidden_sizes": [16, 32, 48, 64, 80, 96, 384], "num_labels": CLASSES},
        kind="classifier",
        shape=(3, 64, 64),
    ),
    _transformer(
        "yolos_tiny",
        "YolosForObjectDetection",
        "YolosConfig",
        {
            "hidden_size": 192,
            "num_hidden_layers": 12,
            "num_attention_heads": 3,
            "intermediate_size": 768,
            "image_size": [64, 96],
            "num_detection_tokens": 20,
        },
        kind="detector",
        shape=(3, 64, 96),
        axis=2,
    ),
    _transformer(
        "resnet_tiny",
        "ResNetForImageClassification",
        "ResNetConfig",
        {"embedding_size": 32, "hidden_sizes": [32, 64, 128, 256], "depths": [2, 2, 2, 2], "layer_type": "basic"},
        kind="classifier",
        shape=(3, 64, 64),
    ),
    _transformer(
        "dinov2_tiny",
        "Dinov2ForImageClassification",
        "Dinov2Config",
        {
            "hidden_size": 192,
            "num_hidden_layers": 6,
            "num_attention_heads": 3,
            "image_size": 70,
            "patch_size": 14,
            "num_labels": CLASSES,
        },
        kind="classifier",
        shape=(3, 70, 70),
    ),
    _transformer(
        "ast_tiny",
        "ASTForAudioClassification",
        "ASTConfig",
        {
            "hidden_size": 192,
            "num_hidden_layers": 6,
            "num_attention_heads": 3,
            "intermediate_size": 768,
            "max_length": 128,
            "num_mel_bins": 64,
            "num_labels": 35,
        },
        kind="audio",
        shape=(128, 64),
    ),
    _transformer(
        "wav2vec2_small",
        "Wav2Vec2ForSequenceClassification",
        "Wav2Vec2Config",
        {
            "hidden_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 256,
            "conv_dim": (64,) * 7,
            "num_labels": 12,
        },
        kind="audio",
        shape=(8000,),
    ),
    Entry(
        name="whisper_tiny_encoder",
        library="transformers",
        kind="audio",
        build=_whisper_encoder,
        shape=(80, 128),
        output=("last_hidden_state",),
        axis=2,
    ),
)
