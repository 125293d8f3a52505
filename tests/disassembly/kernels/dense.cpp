// SPDX-License-Identifier: MIT
// Products with weights that are numbers.
#include "prytany/format/dense.hpp"

#include "disassembly/product.hpp"

PRODUCT(dense<float>{})
PRODUCT(dense<bf16>{})
PRODUCT(dense<f16>{})
