import torch

from backlight.core.random import hash_ids
from backlight.train.augment import Augmentation
from backlight.train.batches import Batches
from backlight.train.order import Order
from tests.train.nets import pictures


def test_a_batch_is_its_rows_changed_by_their_ids_and_its_epoch() -> None:
    data, augmentation = pictures(), Augmentation(flip="random", degrees=10.0)
    order = Order(data.labels, 9, seed=3)
    batches, length = Batches(data, order, augmentation), order.steps_per_epoch
    for step in (0, length - 1, length, 3 * length + 1):
        batch = batches(step)
        keys = hash_ids([data.ids[row] for row in batch.rows.tolist()])
        expected = augmentation.apply(data[batch.rows].images, keys, seed=3, epoch=step // length)
        assert torch.equal(batch.images, expected)
        assert torch.equal(batch.labels, data.labels[batch.rows])
        assert torch.equal(batch.rows, order.rows(step))


def test_a_picture_is_changed_differently_in_every_epoch() -> None:
    data, augmentation = pictures(), Augmentation(degrees=10.0)
    order = Order(data.labels, 9, seed=0)
    batches, length = Batches(data, order, augmentation), order.steps_per_epoch
    seen: list[dict[int, torch.Tensor]] = []
    for epoch in range(2):
        whole = [batches(step) for step in range(epoch * length, (epoch + 1) * length)]
        seen.append({row: image for batch in whole for row, image in zip(batch.rows.tolist(), batch.images)})
    both = set(seen[0]) & set(seen[1])
    assert len(both) > 20
    assert not any(torch.equal(seen[0][row], seen[1][row]) for row in both)
