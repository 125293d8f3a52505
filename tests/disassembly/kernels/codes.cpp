// SPDX-License-Identifier: MIT
// Products of weights that are codes with activations as they are: one of each tile. The other
// formats are in avx2/, for that instruction set alone.
#include "disassembly/product.hpp"
#include "prytany/format/int4_blocks.hpp"
#include "prytany/format/int8_blocks.hpp"
#include "prytany/format/int8_rows.hpp"
#include "prytany/format/mxfp4.hpp"
#include "prytany/format/ternary.hpp"

PRODUCT(int8_rows{})
PRODUCT(int4_blocks{.zero_point = true})
PRODUCT(ternary{})
