"""One study of transfer under way: what is done to each block of pictures, and what is kept for the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from backlight.attack.challenge import Challenge
from backlight.attack.choosing import ChosenAttack
from backlight.attack.referee import judge_logits
from backlight.attack.transfer.ensemble import ensemble, seen_by
from backlight.attack.transfer.request import TransferRequest
from backlight.attack.transfer.study import NOT_ATTACKED, TransferExample
from backlight.classifier import Classifier
from backlight.classifier.heads import predicted_classes
from backlight.core.errors import Failure
from backlight.core.fingerprint import fingerprint
from backlight.core.random import Random, Seed
from backlight.core.user_code import code_of
from backlight.data.batch import Batch
from backlight.data.dataset import Dataset
from backlight.evaluate.samples import fitted, match_labels
from backlight.sweep import Advance, Cost, Part, Swept
from backlight.sweep.cost import cost_of, passes_of, shape_of
from backlight.table import Table

BATCH = 32
_SHOWN = 8  # pictures that are kept for examples


@dataclass(frozen=True, eq=False)
class TransferRun:
    """Everything that a block needs: models, data, what is asked for, the seed, how many are looked at together.

    >>> from torch import nn
    >>> nets = [nn.Sequential(nn.Flatten(), nn.Linear(48, 2)) for _ in range(3)]
    >>> models = {name: Classifier.from_module(net, size=4) for name, net in zip("abc", nets)}
    >>> data = Dataset.of(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), [0, 1], ["x", "y"])
    >>> TransferRun(models, data, TransferRequest.of("mi", ensemble=True), 0, 32).surrogates["all but b"]
    ('a', 'c')
    """

    models: Mapping[str, Classifier]
    data: Dataset
    request: TransferRequest
    seed: Seed
    batch_size: int

    @cached_property
    def surrogates(self) -> dict[str, tuple[str, ...]]:
        """Name the surrogates: every model, and for each all others together where these are asked for."""
        alone: dict[str, tuple[str, ...]] = {name: (name,) for name in self.request.surrogates or self.models}
        if not self.request.ensemble:
            return alone
        return alone | {f"all but {name}": tuple(one for one in self.models if one != name) for name in self.models}

    @cached_property
    def judges(self) -> dict[str, Classifier]:
        """Return who says whether a surrogate names a picture rightly."""
        return {name: self._joined(name, self.models) for name in self.surrogates}

    @cached_property
    def searched(self) -> dict[str, Classifier]:
        """Return what attacks look at: fast copies."""
        fast = {name: model.fast() for name, model in self.models.items()}
        return {name: self._joined(name, fast) for name in self.surrogates}

    def _joined(self, name: str, models: Mapping[str, Classifier]) -> Classifier:
        members = self.surrogates[name]
        return models[name] if members == (name,) else ensemble([models[one] for one in members], name=name)

    def victims(self, surrogate: str) -> list[str]:
        """Name those whom a surrogate's pictures are shown to: an ensemble's only to who is not in it."""
        members = self.surrogates[surrogate]
        return [one for one in self.models if len(members) == 1 or one not in members]

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """Choose the pictures that examples are of, by key."""
        order = Random((self.seed, "examples"), self.data.ids).uniform(1)[:, 0].argsort(stable=True)
        return tuple(self.data.ids[row] for row in order[:_SHOWN].tolist())

    @property
    def depends(self) -> tuple[object, ...]:
        """Return all that decides about the results but the pictures."""
        functions = [one.card.function for one in self.request.chosen]
        code = [code_of(one) for one in functions]
        models = [(name, one, one.resize, one.labels) for name, one in self.models.items()]
        what = ("transfer with blind attacks", models, self.request.describe(), functions, code)
        return (*what, self.seed, self.batch_size, self.shown)

    def cost(self) -> Cost:
        """Count what a picture costs: every attack on every model, of all of them the dearest counted for each."""
        passes = sum(passes_of(one.card.function, one.options) for one in self.request.chosen)
        each = [cost_of(one, shape_of(one, self.data), passes) for one in self.models.values()]
        adds, values = max(one.multiply_adds for one in each), max(one.values for one in each)
        models = sum(len(members) for members in self.surrogates.values())
        return Cost(adds, models * (passes + len(self.request.chosen) * len(self.models)), values)

    def work(self, block: Dataset, advance: Advance) -> Part:
        """Tabulate a block."""
        frames = [fitted(judge, block) for judge in self.judges.values()]
        truths = {name: match_labels(model, block).labels for name, model in self.models.items()}
        tables, kept, failed = list[Table](), dict[str, Tensor](), list[Failure]()
        for batches in zip(*(frame.batches(self.batch_size) for frame in frames)):
            first = batches[0]
            failed += first.failed
            if not len(first.ids):
                advance(len(first.failed))
                continue
            true = {name: labels[first.rows] for name, labels in truths.items()}
            columns: dict[str, object] = {"id": first.ids, "label": block.labels[first.rows]}
            columns |= {f"{name}.true": labels for name, labels in true.items()}
            for name, batch in zip(self.surrogates, batches):
                columns |= self._attacked(name, batch, true, kept)
            tables.append(Table.of(columns))
            advance(len(first.ids) + len(first.failed))
        return Part(Table.merge(tables) if tables else Table.of(id=[]), kept, tuple(failed))

    def _attacked(
        self, name: str, batch: Batch, true: Mapping[str, Tensor], kept: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return the columns of one surrogate, and keep what examples show."""
        judge, victims = self.judges[name], self.victims(name)
        clean = {victim: self._named(victim, batch.images) for victim in victims}
        own = predicted_classes(judge_logits(judge, batch.images.to(judge.device))).cpu() == batch.labels
        # A picture that no victim names rightly counts for none.
        useful = torch.stack([clean[victim] == true[victim] for victim in victims]).any(0)
        rows = (own & useful).nonzero()[:, 0]
        columns = {f"{name} > {victim}.clean": said for victim, said in clean.items()}
        for chosen in self.request.chosen:
            images, blind = self._changed(chosen, name, batch, rows)
            columns[f"{chosen.label}: {name}.blind"] = self._spread(blind, rows, len(batch.ids))
            for victim in victims:
                said = self._named(victim, images)
                columns[f"{chosen.label}: {name} > {victim}"] = self._spread(said, rows, len(batch.ids))
            self._keep(kept, name, chosen.label, batch, rows, images)
        return columns

    @staticmethod
    def _spread(values: Tensor, rows: Tensor, count: int) -> Tensor:
        """Return a column of all pictures from the values of those that were attacked."""
        column = torch.full((count,), NOT_ATTACKED)
        column[rows] = values.to(column.dtype)
        return column

    def _changed(self, chosen: ChosenAttack, name: str, batch: Batch, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the pictures that an attack makes, and where it saw no gradient and fooled not even the surrogate."""
        if not len(rows):
            return batch.images[rows], rows
        ids = [batch.ids[row] for row in rows.tolist()]
        challenge = Challenge.of(
            self.judges[name],
            batch.images[rows],
            batch.labels[rows],
            threat=chosen.threat,
            seed=self.seed,
            ids=ids,
        )
        found = chosen.card.run(challenge.searching(self.searched[name]), **chosen.options)
        return found.images.cpu(), ((found.zero_grads > 0) & ~found.success).cpu()

    def _named(self, victim: str, images: Tensor) -> Tensor:
        model = self.models[victim]
        return predicted_classes(judge_logits(model, seen_by(model, images.to(model.device)))).cpu()

    def _keep(
        self, kept: dict[str, Tensor], name: str, attack: str, batch: Batch, rows: Tensor, images: Tensor
    ) -> None:
        for place, row in enumerate(rows.tolist()):
            if batch.ids[row] in self.shown:
                for kind, image in (("", batch.images[row]), (attack, images[place])):
                    kept[_key(batch.ids[row], name, kind)] = (image * 255).round().byte()

    def examples(self, found: Swept) -> tuple[TransferExample, ...]:
        """Gather the pictures that were kept, in the order in which they were drawn."""
        kept: dict[str, Tensor] = {}
        for part in found.holding(self.shown):
            kept |= part.tensors
        return tuple(self._example(name, kept) for name in self.shown)

    def _example(self, name: str, kept: Mapping[str, Tensor]) -> TransferExample:
        pairs = [(attack, one) for one in self.surrogates for attack in ("", *self.request.labels)]
        there = {pair: kept[_key(name, pair[1], pair[0])] for pair in pairs if _key(name, pair[1], pair[0]) in kept}
        originals = {one: image for (attack, one), image in there.items() if not attack}
        return TransferExample(name, originals, {pair: image for pair, image in there.items() if pair[0]})


def _key(*parts: str) -> str:
    """Name a tensor by what it is of: whatever the names hold, the hash tells them apart."""
    return fingerprint(parts)
