"""The verb `train`: from data to a run folder, and on with it where it stopped."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from backlight.core.errors import Failure, UsageError
from backlight.core.processes import make_engine
from backlight.core.progress import Progress
from backlight.data import Splits, load_splits
from backlight.page.sections import percent
from backlight.report import Options, Report, write_report
from backlight.report.training import training_section
from backlight.runs.folder import RunFolder
from backlight.runs.history import read_history
from backlight.tasks.loading import doubts_of, with_model
from backlight.tasks.outcome import Outcome, command, keeping, plain_json
from backlight.tasks.starting import Start
from backlight.train import Recipe, Runtime, Trained, fit, read_recipe
from backlight.train.recipe import change_recipe

_NEEDED = ("train", "val")
_RESTORED = "it was stopped there, and the weights of the best epoch before are kept"


@dataclass(frozen=True)
class TrainRequest:
    """What is trained on which data by which recipe, and where the run goes.

    `recipe` is a name or file; with `resume` and without one the run's own counts, and `settings` may only repeat
    what it says. What changes no result (precision, memory format, compiling) is in `runtime`.

    >>> TrainRequest("photos/", Path("runs/first")).start.model is None
    True
    """

    data: str
    out: Path
    start: Start = field(default_factory=Start)
    recipe: str | None = None
    settings: tuple[str, ...] = ()
    runtime: Runtime = field(default_factory=Runtime)
    device: str = "auto"
    resume: bool = False
    force: bool = False
    seed: int = 0
    follow_links: bool = False
    command: str = ""


def train(request: TrainRequest, *, progress: Progress | None = None) -> Outcome:
    """Train a classifier, choose the best epoch by validation, and keep all of it in a run folder.

    The result is `Trained`. With several processes only the main one tells. Interrupted, the run can be resumed.
    Raises UsageError for requests that contradict each other or the run, and as `load_splits`, `start_classifier`
    and `fit` do.

    >>> import tempfile
    >>> run = Path(tempfile.mkdtemp()) / "run"
    >>> request = TrainRequest("shapes:n=40,size=16,classes=2", run, settings=("epochs=1",))
    >>> train(request).document["epochs"]
    1
    """
    if request.resume and request.force:
        raise UsageError("--resume and --force", expected="one of them: to go on, or to replace the run")
    engine = make_engine(request.device)
    recipe, start, splits = engine.agree(lambda: _read(request))
    pictures = splits.parts["train"].limited(start.limit)
    classifier = engine.agree(lambda: start.build(pictures, request.seed, engine.device))
    origin = None if request.resume or start.origin is None else start.origin.load(request.seed).passport
    where = {"split_seed": splits.seed, "whole": splits.whole.fingerprint(), "start": vars(start)}
    with keeping(resumable=lambda: engine.is_main and (request.out / "run.json").is_file()):
        trained = fit(
            classifier,
            pictures,
            splits.parts["val"],
            request.out,
            recipe=recipe,
            seed=request.seed,
            resume=request.resume,
            force=request.force,
            notes=where | ({} if origin is None else {"origin": origin.weights}),
            runtime=request.runtime,
            engine=engine,
            progress=progress if engine.is_main else None,
        )
        assumed = () if origin is None else origin.warnings()
        return _outcome(trained, request, (*assumed, *pictures.notes)) if engine.is_main else Outcome(result=trained)


def _read(request: TrainRequest) -> tuple[Recipe, Start, Splits]:
    """Read all that a request names."""
    recipe = _recipe(request)
    start = request.start.resumed(request.out, request.seed) if request.resume else request.start
    splits = _checked(load_splits(request.data, follow_links=request.follow_links))
    return recipe, start, splits


def _recipe(request: TrainRequest) -> Recipe:
    if request.recipe is None and request.resume:
        return change_recipe(Recipe.from_json(RunFolder(request.out).info["recipe"]), request.settings)
    return read_recipe(request.recipe or "default", request.settings)


def _outcome(trained: Trained, request: TrainRequest, notes: tuple[str, ...]) -> Outcome:
    made = _write_page(trained, request.command)
    page = made.html
    lines = (
        f"{trained.run}: epoch {trained.best_epoch} of {trained.epochs} is the best by validation",
        f"  val accuracy {trained.val_accuracy:.2%}, loss {trained.val_loss:.4f}",
        *((f"  {trained.stopped}: {_RESTORED}",) if trained.stopped else ()),
        f"  {trained.images_per_second:,.0f} pictures a second, {trained.seconds:.0f} s",
        f"  {page}",
        f"  {command('evaluate', '--model', trained.run, '--data', request.data)}",
    )
    failed = dict.fromkeys(Failure(*one) for one in RunFolder(trained.run).info["data"]["failed"])
    document = plain_json(with_model(trained.classifier, trained.to_json() | {"html": page}))
    warnings = (*doubts_of(trained.classifier), *notes)
    return Outcome(document, lines, (trained.run, *made.exports, page), tuple(failed), warnings, trained)


def _write_page(trained: Trained, given: str) -> Report:
    section = training_section([read_history(trained.run)])
    options = Options(
        command=given,
        title=f"How {trained.classifier.title} was trained",
        headline=f"{percent(trained.val_accuracy)} right in validation" + ("; it collapsed" if trained.stopped else ""),
        exports=trained.run / "train-tables",
    )
    # The page belongs to the run like its log: whoever may go on with one may replace the other.
    page = trained.run / "report.html"
    return write_report(trained.classifier, (), page, sections=[section], options=options, force=True)


def _checked(splits: Splits) -> Splits:
    missing = [part for part in _NEEDED if part not in splits.parts]
    if missing:
        raise UsageError(f"{splits.whole.name} has no {missing[0]} part", expected="labeled pictures to train on")
    return splits
