"""Public architectures of the zoo: how each library makes them, their input, and the output that is chosen.

Every network is made by its library's own function or class with random weights. Sizes are chosen by arguments that
the library offers (image size, a configuration); nothing inside a network is changed.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from torch import nn
from zoo_entry import CLASSES, Entry
from zoo_transformers import TRANSFORMERS


def _made(path: str, *arguments: Any, **options: Any) -> Callable[[], nn.Module]:
    """A call of `module:function` that waits until its library is wanted."""

    def build() -> nn.Module:
        module, name = path.split(":")
        made: nn.Module = getattr(import_module(module), name)(*arguments, **options)
        return made

    return build


def _vision(name: str, size: int = 64, **options: Any) -> Entry:
    options = {"weights": None, "num_classes": CLASSES, **options}
    build = _made(f"torchvision.models:{name}", **options)
    return Entry(name=name, library="torchvision", kind="classifier", build=build, shape=(3, size, size))


def _vision_map(name: str, output: tuple[str | int, ...], size: int = 64) -> Entry:
    build = _made(f"torchvision.models.segmentation:{name}", weights=None, weights_backbone=None, num_classes=19)
    return Entry(
        name=name, library="torchvision", kind="segmentation", build=build, shape=(3, size, size), output=output
    )


def _timm(name: str, size: int = 64, **options: Any) -> Entry:
    build = _made("timm:create_model", name, pretrained=False, num_classes=CLASSES, **options)
    return Entry(name=name, library="timm", kind="classifier", build=build, shape=(3, size, size))


def _maps(name: str, encoder: str, size: int = 64) -> Entry:
    path = f"segmentation_models_pytorch:{name}"
    build = _made(path, encoder_name=encoder, encoder_weights=None, classes=19)
    label = f"{name}-{encoder}"
    return Entry(
        name=label, library="segmentation_models_pytorch", kind="segmentation", build=build, shape=(3, size, size)
    )


def _sound(name: str, library: str, path: str, shape: tuple[int, ...], /, *, axis: int = 1, **options: Any) -> Entry:
    build = _made(path, **options)
    return Entry(name=name, library=library, kind="audio", build=build, shape=shape, axis=axis)


def _yolo(name: str) -> Entry:
    build = _made("ultralytics.nn.tasks:DetectionModel", f"{name}.yaml", verbose=False)
    return Entry(name=name, library="ultralytics", kind="detector", build=build, shape=(3, 96, 96), output=(0,))


_VISION = (
    *(_vision(name) for name in ("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "resnet18", "resnet50")),
    *(_vision(name) for name in ("resnext50_32x4d", "regnet_x_400mf", "regnet_y_400mf", "efficientnet_b0")),
    *(_vision(name) for name in ("efficientnet_v2_s", "convnext_tiny", "swin_t", "swin_v2_t", "shufflenet_v2_x0_5")),
    *(_vision(name) for name in ("squeezenet1_1", "densenet121", "mnasnet0_5", "alexnet")),
    _vision("vgg11_bn", 32),
    _vision("googlenet", init_weights=False, aux_logits=False),
    _vision("inception_v3", 96, init_weights=False, aux_logits=False),
    _vision("maxvit_t", input_size=(224, 224), size=224),
    _vision_map("lraspp_mobilenet_v3_large", ("out",)),
    _vision_map("deeplabv3_mobilenet_v3_large", ("out",)),
    _vision_map("fcn_resnet50", ("out",)),
    Entry(
        name="resnet18_fpn",
        library="torchvision",
        kind="detector",
        build=_made(
            "torchvision.models.detection.backbone_utils:resnet_fpn_backbone", backbone_name="resnet18", weights=None
        ),
        shape=(3, 64, 64),
        output=("0",),
    ),
)

_TIMM = (
    *(_timm(name) for name in ("mobilenetv4_conv_small", "mobilenetv3_small_050", "ghostnet_050", "mobileone_s0")),
    *(_timm(name) for name in ("repvgg_a0", "fastvit_t8", "edgenext_xx_small", "mobilevit_xxs", "mobilevitv2_050")),
    *(_timm(name) for name in ("convnextv2_atto", "poolformer_s12", "efficientvit_b0", "hardcorenas_a")),
    *(_timm(name) for name in ("tf_efficientnet_lite0", "rexnet_100", "resnest14d", "skresnet18", "dla34")),
    *(_timm(name) for name in ("hrnet_w18_small", "pvt_v2_b0", "regnetz_005", "lcnet_050", "tinynet_e")),
    *(
        _timm(name)
        for name in ("res2net50_26w_4s", "cspresnet50", "starnet_s1", "xcit_nano_12_p16_224", "eca_nfnet_l0")
    ),
    *(_timm(name, 96, img_size=96) for name in ("deit_tiny_patch16_224", "vit_tiny_patch16_224", "mixer_s32_224")),
    *(_timm(name, 96, img_size=96) for name in ("gmlp_ti16_224", "coat_lite_tiny")),
    _timm("efficientformer_l1", 224),
    _timm("levit_128s", 224),
    _timm("tiny_vit_5m_224", 224),
    _timm("crossvit_tiny_240", 240),
    Entry(
        name="tf_efficientdet_lite0",
        library="effdet",
        kind="detector",
        build=_made("effdet:create_model", "tf_efficientdet_lite0", pretrained=False, pretrained_backbone=False),
        shape=(3, 320, 320),
        output=(0, 0),
    ),
)


_MAPS = (
    _maps("Unet", "mobilenet_v2"),
    _maps("FPN", "resnet18"),
    _maps("DeepLabV3Plus", "mobilenet_v2"),
    _maps("PAN", "resnet18", 128),
    _maps("Linknet", "mobilenet_v2"),
)
_SMALL_TASNET = {"enc_num_feats": 128, "msk_num_feats": 32, "msk_num_hidden_feats": 64, "msk_num_layers": 4}
_SOUNDS = (
    _sound("wav2letter", "torchaudio", "torchaudio.models.wav2letter:Wav2Letter", (1, 4000), num_classes=40),
    _sound(
        "deepspeech",
        "torchaudio",
        "torchaudio.models.deepspeech:DeepSpeech",
        (1, 12, 64),
        axis=2,
        n_feature=64,
        n_hidden=128,
        n_class=40,
    ),
    _sound(
        "open_unmix",
        "openunmix",
        "openunmix.model:OpenUnmix",
        (2, 129, 12),
        nb_bins=129,
        nb_channels=2,
        hidden_size=128,
        nb_layers=1,
    ),
    _sound("crepe_tiny", "torchcrepe", "torchcrepe.model:Crepe", (1024,), model="tiny"),
    _sound("conv_tasnet", "torchaudio", "torchaudio.models:ConvTasNet", (1, 800), **_SMALL_TASNET),
    _sound("tcn", "pytorch_tcn", "pytorch_tcn:TCN", (16, 64), num_inputs=16, num_channels=[32, 32, 32]),
)
_DETECTORS = (_yolo("yolov8n"), _yolo("yolo11n"), _yolo("yolov5n"))

NETWORKS: dict[str, Entry] = {
    entry.name: entry for entry in (*_VISION, *_TIMM, *TRANSFORMERS, *_MAPS, *_SOUNDS, *_DETECTORS)
}
