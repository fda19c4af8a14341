import pytest

from backlight.core.errors import BacklightError, UsageError
from backlight.models.registry import find_blueprint


@pytest.mark.parametrize("name", ["size", "classes", "channels", "seed", "name", "network"])
def test_what_every_network_is_given_is_no_option(name):
    with pytest.raises(UsageError, match=f"vit has no option '{name}'"):
        find_blueprint(f"vit:depth=2,{name}=3")


@pytest.mark.parametrize(
    "spec", ["x" * 5000, "x/" * 3000, "hf:a/" + "b" * 300, "hf-hub:a/" + "b" * 300, "a\0b", "~nobody/x"]
)
def test_names_that_nothing_can_have(spec, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BacklightError):
        find_blueprint(spec)
