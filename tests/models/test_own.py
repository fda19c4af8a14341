import pytest

from backlight.core.errors import UsageError
from backlight.models.registry import find_blueprint


@pytest.mark.parametrize("name", ["size", "classes", "channels", "seed", "name", "network"])
def test_what_every_network_is_given_is_no_option(name):
    with pytest.raises(UsageError, match=f"vit has no option '{name}'"):
        find_blueprint(f"vit:depth=2,{name}=3")
