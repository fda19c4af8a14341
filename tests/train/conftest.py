import pytest


@pytest.fixture(autouse=True)
def _curves_at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the curves of each of two hundred runs without arranging the axes, which takes as long as the training."""
    if "test_curves" not in request.node.nodeid:
        monkeypatch.setattr("matplotlib.layout_engine.ConstrainedLayoutEngine.execute", lambda *_: None)
