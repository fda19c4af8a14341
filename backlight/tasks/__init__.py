"""One function per verb: a frozen request in, an outcome out; what the command line, notebooks and programs call.

outcome      `Outcome`: files, a document, lines for people, failures, the exit status
loading      `ModelRequest` and `DataRequest`: which classifier and which pictures; loaded ones are taken as they are
the others   a verb each, or what a verb needs

Imported lazily: each verb costs what it needs.

>>> from pathlib import Path
>>> import tempfile, torch
>>> from backlight import load, tasks
>>> from backlight.images import write_png
>>> path = Path(tempfile.mkdtemp()) / "gray.png"
>>> write_png(path, torch.full((3, 32, 32), 0.5))
>>> outcome = tasks.predict(tasks.PredictRequest((path,), load("classic_cnn", random=True)))
>>> outcome.status, len(outcome.document)
(0, 1)
"""

from __future__ import annotations

from backlight.core.faces import lazy_names

_HOMES = {
    "predicting": ("PredictRequest", "predict"),
    "indexing": ("IndexRequest", "index"),
    "inspecting": ("InspectRequest", "inspect"),
    "reporting": ("ReportRequest", "report"),
    "explaining": ("ExplainRequest", "explain"),
    "explaining_data": ("ExplainDataRequest", "explain_data"),
    "attacking": ("AttackRequest", "attack"),
    "attacking_data": ("RobustnessOfDataRequest", "robustness"),
    "corrupting": ("corruptions",),
    "corruption_request": ("CorruptionsRequest",),
    "transferring": ("TransferOfDataRequest", "transfer"),
    "fooling_many": ("UniversalOfDataRequest", "universal"),
    "certifying": ("CertifyDataRequest", "certify"),
    "visualizing": ("VisualizeRequest", "visualize"),
    "fooling": ("FoolRequest", "fool"),
    "styling": ("StyleRequest", "style"),
    "denoising": ("DenoiseRequest", "denoise"),
    "starting": ("Start",),
    "training": ("TrainRequest", "train"),
    "evaluating": ("EvaluateRequest", "evaluate"),
    "auditing": ("AuditRequest", "audit"),
    "checking": ("CheckRequest", "check"),
    "gating": ("GateRequest",),
    "watching": ("JobsRequest", "jobs"),
    "calibrating": ("CalibrateRequest", "calibrate"),
    "exporting": ("ExportRequest", "export"),
    "data_sets": ("ConvertDataRequest", "InspectDataRequest", "convert_data", "inspect_data"),
    "listing": ("MethodsRequest", "ModelsRequest", "methods", "models"),
    "loading": ("DataRequest", "ModelRequest"),
    "outcome": ("Interrupted", "Outcome"),
}
_PLACES = {name: f"{__name__}.{module}" for module, names in _HOMES.items() for name in names}

__all__ = sorted(_PLACES)


__getattr__ = lazy_names(__name__, _PLACES)
