// SPDX-License-Identifier: MIT
// The micro-kernels of a format, through their public door.
#pragma once

#include "prytany/kernel/gemm.hpp"

using namespace prytany;

// The number of rows is known only at run time: all tiles are in it.
template <auto Format>
using input_rows = kernel::picked<kernel::input_of<Format>>;
template <auto Format>
void product(input_rows<Format> rows, index_t count, packed<Format> const& weights, float* out) {
    kernel::multiply(rows, count, weights, 0, weights.panels(),
                     [&](index_t row, index_t panel, simd::float_pair sum) {
                         float* const to = out + (row * weights.panels() + panel) * panel_lanes;
                         simd::store(to, sum.low);
                         simd::store(to + lanes, sum.high);
                     });
}
#define PRODUCT(...)                                                                               \
    template void product<__VA_ARGS__>(input_rows<__VA_ARGS__>, index_t,                           \
                                       packed<__VA_ARGS__> const&, float*);
