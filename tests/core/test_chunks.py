import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backlight.core.chunks import Chunk, in_chunks, is_out_of_memory, sum_chunks
from backlight.core.errors import InputError

OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory")


def limited(limit, error=OUT_OF_MEMORY):
    calls = []

    def function(part):
        calls.append(part)
        if part.stop - part.start > limit:
            raise error
        return list(range(part.start, part.stop))

    return function, calls


@settings(max_examples=25, deadline=None)  # each failed attempt collects garbage, which is slow
@given(st.integers(0, 40), st.integers(1, 50), st.integers(1, 50))
def test_covers_the_range_in_order_at_any_size_and_limit(count, size, limit):
    function, _ = limited(limit)
    assert sum(in_chunks(function, count, size), []) == list(range(count))


def test_halves_and_remembers():
    function, calls = limited(3)
    size = Chunk(16)
    list(in_chunks(function, 20, size))
    assert size.size == 2
    assert [part.stop - part.start for part in calls[:4]] == [16, 8, 4, 2]
    calls.clear()
    list(in_chunks(function, 4, size))
    assert [part.stop - part.start for part in calls] == [2, 2]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes"),
    ],
)
def test_every_way_to_run_out(error):
    function, _ = limited(1, error)
    assert sum(in_chunks(function, 3, 4), []) == [0, 1, 2]


def test_a_real_allocation_failure_is_recognized():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def test_one_item_too_large_is_an_error_and_other_errors_pass():
    function, _ = limited(0)
    with pytest.raises(InputError, match="single item"):
        list(in_chunks(function, 3, 4))
    with pytest.raises(RuntimeError, match="shapes"):
        list(in_chunks(limited(0, RuntimeError("shapes do not fit"))[0], 3, 4))
    with pytest.raises(InputError):
        Chunk(0)


def test_memory_of_a_failed_attempt_is_let_go():
    import weakref

    kept = []

    def function(part):
        filling = torch.zeros(8)
        if part.stop - part.start > 1:
            kept.append(weakref.ref(filling))
            raise torch.OutOfMemoryError("out of memory")
        assert all(reference() is None for reference in kept)
        return 1

    assert sum(in_chunks(function, 3, 4)) == 3


@pytest.mark.promises
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_pieces_and_sums_do_not_depend_on_the_size(size):
    images, points = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(1)), torch.linspace(0, 1, 7)

    def term(row, point):
        return images[row] * points[point].view(-1, 1, 1).cos()

    assert torch.equal(torch.cat(list(in_chunks(lambda part: images[part].sin(), 5, size))), images.sin())
    expected = torch.zeros(5, 3, 4, dtype=torch.float64)
    for row in range(5):
        for point in range(7):
            expected[row] += (images[row] * points[point].cos()).double()
    assert torch.equal(sum_chunks(term, 5, 7, size=size), expected)


def test_empty_and_uneven_inputs():
    assert list(in_chunks(lambda part: part, 0, 3)) == []
    with pytest.raises(InputError):
        sum_chunks(lambda row, point: row, 0, 3, size=1)
