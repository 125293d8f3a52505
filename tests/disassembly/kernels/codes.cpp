// SPDX-License-Identifier: MIT
// Products of weights that are codes with activations as they are: a format's line stands here, and
// one more for each way in which its code differs.
#include "disassembly/product.hpp"
#include "prytany/format/int4_blocks.hpp"
#include "prytany/format/int8_blocks.hpp"
#include "prytany/format/int8_rows.hpp"
#include "prytany/format/mxfp4.hpp"
#include "prytany/format/ternary.hpp"

PRODUCT(int8_rows{})
PRODUCT(int8_blocks{})
PRODUCT(int4_blocks{})
PRODUCT(int4_blocks{.zero_point = true})
PRODUCT(ternary{})
PRODUCT(mxfp4{})
