# SPDX-License-Identifier: Apache-2.0
"""Random rows of each quantised GGUF type and their f32 values by PyPI's gguf: writes quants/rows.bin (README.md).

    make_quants.py      needs gguf and numpy
"""
import pathlib
import struct

import gguf
import numpy

ROWS, COLUMNS = 4, 512
# Where a block has its f16 numbers.
HALVES = {"Q8_0": (0,), "Q4_0": (0,), "Q4_1": (0, 2), "Q5_0": (0,), "Q5_1": (0, 2), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}


def random_rows(random, name):
    elements, block_bytes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]]
    blocks = random.integers(0, 256, (ROWS, COLUMNS // elements, block_bytes), dtype=numpy.uint8)
    for at in HALVES[name]:
        blocks[..., at + 1] &= 0xBF  # exponents up to 15: finite, subnormal ones too
    return blocks.reshape(ROWS, -1)


def main():
    random = numpy.random.default_rng(5)
    out = [b"TRQUANT1", struct.pack("<III", len(HALVES), ROWS, COLUMNS)]
    for name in HALVES:
        number = gguf.GGMLQuantizationType[name]
        rows = random_rows(random, name)
        values = gguf.quants.dequantize(rows, number).astype("<f4")
        assert values.shape == (ROWS, COLUMNS) and numpy.isfinite(values).all()
        out += [struct.pack("<II", number, rows.shape[1]), rows.tobytes(), values.tobytes()]
    path = pathlib.Path(__file__).parent / "quants" / "rows.bin"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(out))


if __name__ == "__main__":
    main()
