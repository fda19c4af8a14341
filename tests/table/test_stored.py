import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backlight.core.errors import FileError
from backlight.table.stored import read_arrow


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"row_group_size": 100},
        {"use_dictionary": False},
        {"data_page_size": 500, "dictionary_pagesize_limit": 1000},
    ],
)
def test_parquet_is_read_within_bytes_whatever_its_pages(tmp_path, options):
    draw = np.random.default_rng(0)
    cells = [{"bytes": draw.bytes(int(size)), "path": None} for size in draw.integers(5, 3000, 500)]
    cells += [{"bytes": b"same" * 100, "path": "x"}] * 500
    texts = pa.array(["a", None] * 500)
    for column in (
        cells,
        [[cell] for cell in cells],
        [None if row % 7 == 0 else cell for row, cell in enumerate(cells)],
    ):
        table = pa.table({"cell": column, "text": texts, "number": range(1000)})
        pq.write_table(table, tmp_path / "a.parquet", **options)
        assert read_arrow(tmp_path / "a.parquet").equals(table)


def test_equal_cells_that_unpack_to_gigabytes_are_refused(tmp_path):
    cells = pa.DictionaryArray.from_arrays(pa.array([0] * 300, pa.int32()), pa.array([bytes(2**20)]))
    for column in (cells, pa.StructArray.from_arrays([cells], ["bytes"])):
        pq.write_table(pa.table({"cell": column}), tmp_path / "a.parquet", compression="zstd", store_schema=False)
        with pytest.raises(FileError, match="unpacks to more than"):
            read_arrow(tmp_path / "a.parquet")
