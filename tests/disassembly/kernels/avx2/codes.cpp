// SPDX-License-Identifier: MIT
// As kernels/codes.cpp: a format's line stands here, and one more for each way in which its code
// differs.
#include "disassembly/product.hpp"
#include "prytany/format/int4_blocks.hpp"
#include "prytany/format/int8_blocks.hpp"
#include "prytany/format/int8_rows.hpp"
#include "prytany/format/mxfp4.hpp"
#include "prytany/format/ternary.hpp"

PRODUCT(int8_blocks{})
PRODUCT(int4_blocks{})
PRODUCT(mxfp4{})
