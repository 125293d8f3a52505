// SPDX-License-Identifier: MIT
// Kernels that are no products.
#include "prytany/kernel/attention.hpp"

#include "prytany/kernel/dot.hpp"

using namespace prytany;

void attend(kernel::query_row const* rows, index_t count, kernel::cached_head const& head,
            float scale, float* scratch) {
    kernel::attend(rows, count, head, scale, scratch);
}
float dot(float const* a, float const* b, index_t count) { return kernel::dot(a, b, count); }
