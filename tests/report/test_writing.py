import base64
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import backlight.page.sections as page_sections
import backlight.report.writing as writing
from backlight import Classifier
from backlight.core.errors import Failure, ModelError, UsageError
from backlight.images import picture, read_image, to_tensor
from backlight.report import Options, write_report
from backlight.report.tables import table_sections
from backlight.table import Table
from backlight.testing import CALLERS, caller, small_net, unchanged
from tests.report.conftest import SCRIPT, small_classifier
from tests.report.reading import Document, read, stored


@pytest.fixture(scope="module")
def page(classifier: Classifier, photographs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Document:
    out = tmp_path_factory.mktemp("report") / "report.html"
    table = Table.of(id=["a", "b"], label=[0, 1], prediction=[0, 0])
    sections = table_sections(table, classifier.labels, "toys (test)")
    options = Options(command="backlight report '<b>'")
    with unchanged(classifier.module):
        made = write_report(classifier, photographs, out, sections=sections, options=options)
    assert made.pictures == 2
    assert made.html == out
    assert made.to_json().keys() == {"html", "pictures", "seconds", "failed"}
    return read(out)


def test_nothing_is_loaded_from_anywhere(page: Document) -> None:
    assert page.sources
    assert all(source.startswith(("data:", "#")) for source in page.sources)
    style = (Path(page_sections.__file__).parent / "templates" / "style.css").read_text()
    assert "url(" not in style
    assert "@import" not in style


def test_links_lead_to_places_that_exist_once(page: Document) -> None:
    assert len(page.ids) == len(set(page.ids))
    targets = {source[1:] for source in page.sources if source.startswith("#")}
    assert {"glance", "picture-1", "picture-2", "accuracy", "model", "terms"} <= targets
    assert targets <= set(page.ids)


def test_every_picture_says_what_it_shows(page: Document) -> None:
    for image in page.all("img"):
        assert "alt" in image
    for attributes in page.all("svg"):
        assert attributes.get("aria-hidden") == "true" or attributes["aria-label"]
    for attributes in page.all("input"):
        assert attributes["type"] in ("range", "radio")


def test_only_the_pages_own_script_may_run(page: Document, classifier: Classifier) -> None:
    assert len(page.all("script")) == 1
    assert SCRIPT in page.text  # as words, where the label stands
    policy = next(one["content"] for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy")
    script = (Path(page_sections.__file__).parent / "templates" / "script.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_the_page_says_how_it_was_made(page: Document) -> None:
    assert "backlight report '<b>'" in page.text
    assert torch.__version__.partition("+")[0] in page.text
    assert "BatchNorms folded" in page.text


def test_attacked_pictures_on_the_page_do_what_the_page_says(page: Document, classifier: Classifier) -> None:
    said = [a or b for a, b in re.findall(r"It now says (.*?) instead of|It still says (.*?)\.\s", page.text)]
    answers = []
    for place in (1, 2):
        for method in ("fgsm", "pgd"):
            picture = to_tensor(stored(page, f"picture-{place}-{method}"))
            original = to_tensor(stored(page, f"picture-{place}-crop"))
            assert float((picture - original).abs().max()) <= 0.007
            answers.append(classifier.label(int(classifier.logits(picture[None]).argmax())))
    assert said == answers


def test_the_crop_on_the_page_is_what_the_model_sees(
    page: Document, classifier: Classifier, photographs: list[Path]
) -> None:
    assert classifier.resize is not None
    for place, path in enumerate(photographs, 1):
        seen = np.asarray(stored(page, f"picture-{place}-crop").convert("RGB"))
        image = read_image(path, classifier.resize).image
        assert np.array_equal(seen, (image * 255).round().byte().permute(1, 2, 0).numpy())


def test_numbers_only(classifier: Classifier, photographs: list[Path], tmp_path: Path) -> None:
    write_report(classifier, photographs, tmp_path / "page.html", options=Options(pictures=False))
    page = read(tmp_path / "page.html")
    assert not page.all("img")
    assert not page.all("image")
    assert ";base64," not in (tmp_path / "page.html").read_text()
    assert "These maps" in page.text


def test_hostile_names_and_labels_stay_words(classifier: Classifier, photographs: list[Path], tmp_path: Path) -> None:
    names = ["<script>alert(1)<", '"><img src=x onerror=alert(1)>.png', "{{ 7 * 7 }}.png", "caf\udce9.png"]
    (tmp_path / names[0]).mkdir()
    paths = [tmp_path / names[0] / "script>.jpg", *(tmp_path / name for name in names[1:])]
    for path in paths:
        Image.open(photographs[0]).convert("RGB").save(path, "PNG")
    made = write_report(classifier, paths, tmp_path / "out.html")
    assert made.pictures == 4
    page = read(tmp_path / "out.html")
    assert len(page.all("script")) == 1
    assert not [one for one in page.all("img") if "onerror" in one]
    for shown in ("<script>alert(1)</script>.jpg", names[1], names[2], "caf\\xe9.png"):
        assert shown in page.text


def test_files_that_fail_are_named_and_the_others_go_on(
    classifier: Classifier, photographs: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "text.jpg").write_text("this is text")
    (tmp_path / "empty.png").touch()
    (tmp_path / "half.png").write_bytes(photographs[0].read_bytes()[:900])
    paths = []
    for index in range(9):
        paths.append(tmp_path / f"{index}.png")
        Image.open(photographs[index % 2]).convert("RGB").save(paths[-1])
    paths[2:2] = [tmp_path / "text.jpg", tmp_path / "empty.png"]
    paths.append(tmp_path / "half.png")
    made = write_report(classifier, paths, tmp_path / "out.html", options=Options(batch_size=4))
    assert made.pictures == 9
    assert {Path(one.path).name for one in made.failed} == {"text.jpg", "empty.png", "half.png"}
    page = read(tmp_path / "out.html")
    assert "skipped" in page.ids
    for name in ("text.jpg", "empty.png", "half.png"):
        assert name in page.text
    assert str(tmp_path) not in page.text  # a page that is sent on tells nothing of the sender's disk
    assert "not finished" not in page.text


def test_a_page_without_a_single_readable_picture(classifier: Classifier, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("this is text")
    made = write_report(classifier, [tmp_path / "text.jpg"], tmp_path / "out.html")
    assert (made.pictures, len(made.failed)) == (0, 1)
    assert {"model", "skipped"} <= set(read(tmp_path / "out.html").ids)


def test_an_interrupted_page_shows_what_was_finished(
    classifier: Classifier, photographs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = writing.study_pictures, []

    def interrupted(*arguments: object, **options: object) -> object:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(writing, "study_pictures", interrupted)
    paths = [photographs[0], photographs[1]] * 3
    gone = [Failure("gone.png", "does not exist")]  # failed before: not among the pictures that were asked for
    with pytest.raises(KeyboardInterrupt):
        write_report(classifier, paths, tmp_path / "out.html", failed=gone, options=Options(batch_size=2))
    page = read(tmp_path / "out.html")
    assert {"picture-1", "picture-4", "model", "terms"} <= set(page.ids)
    assert "picture-5" not in page.ids
    assert re.search(r"not finished: 2 of the pictures", page.text)
    assert [path.name for path in tmp_path.iterdir()] == ["out.html"]


@pytest.mark.parametrize(("labels", "channels"), [(("no", "yes"), 3), (("a", "b", "c"), 1), (("a", "b"), 1)])
def test_few_classes_and_one_channel(
    labels: tuple[str, ...], channels: int, photographs: list[Path], tmp_path: Path
) -> None:
    model = small_classifier(labels, channels)
    assert write_report(model, photographs, tmp_path / "out.html").pictures == 2
    page = read(tmp_path / "out.html")
    assert f"{channels} channel" in page.text
    assert stored(page, "picture-1-fgsm").size == (32, 32)


def test_a_broken_model_gives_a_page_that_says_so(photographs: list[Path], tmp_path: Path) -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(torch.nan))
            self.features = nn.Conv2d(3, 4, 3)
            self.act = nn.ReLU()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return (self.act(self.features(images)) * self.scale).mean((2, 3))

    model = Classifier.from_module(Broken(), size=32, labels=["a", "b", "c", "d"])
    write_report(model, photographs[:1], tmp_path / "out.html")
    text = read(tmp_path / "out.html").text
    assert "not a number" in text
    assert "not numbers: nothing to see" in text


def test_a_model_that_knows_one_class_is_refused(photographs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="at least two"):
        write_report(small_classifier(("only",)), photographs, tmp_path / "out.html")


def test_a_page_is_not_replaced_without_force(classifier: Classifier, photographs: list[Path], tmp_path: Path) -> None:
    (tmp_path / "out.html").write_text("mine")
    with pytest.raises(UsageError, match="--force"):
        write_report(classifier, photographs, tmp_path / "out.html")
    write_report(classifier, photographs[:1], tmp_path / "out.html", force=True)
    assert "picture-1" in read(tmp_path / "out.html").ids


def test_the_page_does_not_depend_on_the_batch(
    classifier: Classifier, photographs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")  # a minute may end between the two
    texts = []
    for size in (1, 2):
        out = tmp_path / f"{size}.html"
        write_report(classifier, photographs, out, options=Options(batch_size=size, pictures=False))
        document = read(out).text
        texts.append(document[: document.index("How this page was made")])
    assert texts[0] == texts[1]


@pytest.mark.parametrize("state", CALLERS)
def test_the_model_is_left_as_it_was_wherever_the_call_comes_from(
    state: str, photographs: list[Path], tmp_path: Path
) -> None:
    net = small_net()
    model = Classifier.from_module(net, size=16, labels=["a", "b", "c", "d"])
    with caller(net, state), unchanged(net):
        assert write_report(model, photographs[:1], tmp_path / "out.html").pictures == 1


def test_the_model_is_left_as_it_was_after_an_exception(
    photographs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("in the middle")

    monkeypatch.setattr("backlight.report.attacks.targeted_l2", broken)
    net = small_net()
    model = Classifier.from_module(net, size=16, labels=["a", "b", "c", "d"])
    with unchanged(net), pytest.raises(RuntimeError, match="in the middle"):
        write_report(model, photographs[:1], tmp_path / "out.html")


def test_every_photograph_is_decoded_once(
    classifier: Classifier, photographs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    real = picture.open_picture

    def counted(path: Path) -> Image.Image:
        opened.append(Path(path))
        return real(path)

    monkeypatch.setattr(picture, "open_picture", counted)
    write_report(classifier, photographs, tmp_path / "page.html", options=Options(methods=("saliency",)))
    assert sorted(opened) == sorted(photographs)


def test_heads_of_one_logit_and_of_several_labels_have_a_page(photographs: list[Path], tmp_path: Path) -> None:
    def net(classes: int) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return nn.Sequential(
                nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, classes)
            )

    binary = Classifier.from_module(net(1), size=32, labels=["dry", "wet"], outputs="binary")
    many = Classifier.from_module(net(3), size=32, labels=["sea", "sky", "sun"], outputs="multilabel")
    for number, model in enumerate((binary, many)):
        page = tmp_path / f"{number}.html"
        write_report(model, photographs[:2], page)
        text = read(page).text
        assert all(label in text for label in model.labels)
    assert "not s" in text
