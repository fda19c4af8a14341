"""Which class a person means by a name, a number or a synonym."""

import unicodedata

import pytest
import torch
from torch import nn

from backlight.classifier import Classifier
from backlight.classifier.naming import checked_labels, find_class, match_names
from backlight.classifier.targets import resolve_targets
from backlight.core.errors import DataError, InputError, ModelError
from backlight.data import Dataset
from backlight.evaluate.samples import match_labels
from backlight.models import load


def classifier(*labels: str) -> Classifier:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, len(labels)))
    return Classifier.from_module(net, size=2, labels=labels)


@pytest.mark.parametrize(
    ("labels", "asked", "index"),
    [
        (("cat, small", "cat"), "cat", 1),
        (("cat, small", "dog"), "small", 0),
        (("cat", "Cat"), "Cat", 1),
        (("one", "two", "three"), "2", 2),
        (("1", "2", "3"), "2", 1),
        (("1", "2", "3"), "index:2", 2),
        (("1", "2", "3"), "label:2", 1),
        (("1", "2", "3"), 2, 2),
        (("10", "a"), "1", 1),
        (("top", "second"), "label:top", 0),
        (("label:a", "a"), "label:a", 0),
        (("café", "tea"), unicodedata.normalize("NFD", "café"), 0),
        ((unicodedata.normalize("NFD", "café"), "tea"), "CAFÉ", 0),
        (("a", "b"), " B ", 1),
    ],
)
def test_exact_label_then_number_then_synonym(labels: tuple[str, ...], asked: str | int, index: int) -> None:
    assert classifier(*labels).class_index(asked) == index


@pytest.mark.parametrize("asked", ["CAT", "label:CAT", "Crane"])
def test_what_means_two_classes_names_both(asked: str) -> None:
    own = classifier("cat", "Cat", "bird, crane", "machine, crane")
    with pytest.raises(InputError, match=r"class \d .* and class \d .*index:"):
        own.class_index(asked)


@pytest.mark.parametrize(
    ("asked", "found"),
    [("index:x", "a number"), ("index:9", "0 to 1"), ("-1", "0 to 1"), ("7", "0 to 1"), ("kat", "cat")],
)
def test_what_means_none_says_what_there_is(asked: str, found: str) -> None:
    with pytest.raises(InputError, match=found):
        classifier("cat", "dog").class_index(asked)


def test_the_default_model_knows_exact_labels_wordnet_ids_and_lemmas() -> None:
    own = load(random=True)
    assert own.class_index("cardigan") == own.labels.index("cardigan") != own.labels.index("Cardigan")
    assert own.class_index("Cardigan") == own.labels.index("Cardigan")
    assert own.class_index("n02099601") == 207 == own.class_index("golden retriever")
    assert own.replace(labels=tuple(map(str, range(1000)))).aliases == {}
    assert own.replace(name="other").class_index("n02123045") == 281


def test_reserved_words_mean_the_rank_and_label_the_class() -> None:
    own, logits = classifier("top", "second", "random"), torch.tensor([[1.0, 3.0, 2.0]])
    assert resolve_targets(own, logits, "top").tolist() == [1]
    assert resolve_targets(own, logits, "label:top").tolist() == [0]
    assert resolve_targets(own, logits, ["label:random"]).tolist() == [2]


def test_labels_that_repeat_are_refused_at_once_and_briefly() -> None:
    labels = [*map(str, range(998)), "crane", "crane"]
    with pytest.raises(ModelError, match="'crane' is that of classes 998 and 999") as caught:
        classifier(*labels)
    assert len(str(caught.value)) < 200
    with pytest.raises(ModelError, match="0 and 1"):
        checked_labels(["é", unicodedata.normalize("NFD", "é")])


def test_all_names_are_matched_in_one_way() -> None:
    labels, aliases = ("cat, tabby", "dog"), {"n1": 0, "n2": 1}
    assert match_names(["dog", "cat, tabby"], labels, aliases) == [1, 0]
    assert match_names(["n2", "n1"], labels, aliases) == [1, 0]
    assert match_names(["Tabby", "DOG"], labels, aliases) == [0, 1]
    assert match_names(["1", "0"], labels, aliases) == [1, 0]
    for names in (["cat", "tabby"], ["2"], ["01"], ["owl"], ["1", "owl"], ["-1"]):
        assert match_names(names, labels, aliases) is None
    assert match_names(["1", "0"], ("0", "1"), {}) == [1, 0]


def test_folders_of_wordnet_ids_are_numbered_as_the_model_does() -> None:
    data = Dataset.of(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), [0, 1], ["n02123045", "n02099601"])
    own = load(random=True)
    matched = match_labels(own, data)
    assert matched.labels.tolist() == [281, 207]
    assert matched.label_names == own.labels
    with pytest.raises(DataError, match="'n0'.*WordNet"):
        match_labels(own, Dataset.of(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), [0, 1], ["n02123045", "n0"]))


@pytest.mark.parametrize("folder", ["Afghan_hound", "afghan hound", "AFGHAN_HOUND"])
def test_an_underscore_of_a_folder_is_the_blank_of_a_label(folder: str) -> None:
    labels = ("tench", "Afghan hound", "tench_like")
    assert match_names([folder, "tench like"], labels, {}) == [1, 2]
    assert find_class(labels, 3, folder, {}) == 1


def test_labels_that_only_an_underscore_tells_apart_stay_apart() -> None:
    labels = ("a b", "a_b")
    assert match_names(["a_b", "a b"], labels, {}) == [1, 0]
    assert match_names(["A_b", "a b"], labels, {}) is None
    with pytest.raises(InputError, match="may be class 0 .* and class 1"):
        find_class(labels, 2, "A_B", {})
