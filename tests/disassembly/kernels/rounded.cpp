// SPDX-License-Identifier: MIT
// Products of weights that are codes with activations rounded to integers: one of each tile. The
// other formats are in avx2/, for that instruction set alone.
#include "disassembly/product.hpp"
#include "prytany/format/int4_blocks.hpp"
#include "prytany/format/int8_blocks.hpp"
#include "prytany/format/int8_rows.hpp"
#include "prytany/format/mxfp4.hpp"
#include "prytany/format/ternary.hpp"

PRODUCT(int8_blocks{.activations = activations::int8})
PRODUCT(int4_blocks{.activations = activations::int8})
PRODUCT(ternary{.activations = activations::int8})
