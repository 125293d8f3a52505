// SPDX-License-Identifier: MIT
// As kernels/rounded.cpp: a format's line stands here, and one more for each way in which its code
// differs.
#include "disassembly/product.hpp"
#include "prytany/format/int4_blocks.hpp"
#include "prytany/format/int8_blocks.hpp"
#include "prytany/format/int8_rows.hpp"
#include "prytany/format/mxfp4.hpp"
#include "prytany/format/ternary.hpp"

PRODUCT(int8_rows{.activations = activations::int16})
PRODUCT(int4_blocks{.size = 64, .activations = activations::int8})
PRODUCT(int4_blocks{.zero_point = true, .activations = activations::int8})
PRODUCT(mxfp4{.activations = activations::int8})
