// SPDX-License-Identifier: MIT
// Every micro-kernel through its public door: a new format is one more PRODUCT, and another one for
// each way in which its code differs.
#include "prytany/format/dense.hpp"
#include "prytany/format/int4_blocks.hpp"
#include "prytany/format/int8_blocks.hpp"
#include "prytany/format/int8_rows.hpp"
#include "prytany/format/mxfp4.hpp"
#include "prytany/format/ternary.hpp"
#include "prytany/kernel/attention.hpp"
#include "prytany/kernel/dot.hpp"
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

PRODUCT(dense<float>{})
PRODUCT(dense<bf16>{})
PRODUCT(dense<f16>{})
PRODUCT(int8_rows{})
PRODUCT(int8_rows{.activations = activations::int16})
PRODUCT(int8_blocks{})
PRODUCT(int8_blocks{.activations = activations::int8})
PRODUCT(int4_blocks{})
PRODUCT(int4_blocks{.zero_point = true})
PRODUCT(int4_blocks{.activations = activations::int8})
PRODUCT(ternary{})
PRODUCT(ternary{.activations = activations::int8})
PRODUCT(mxfp4{})
PRODUCT(mxfp4{.activations = activations::int8})

void attend(float const* const* queries, index_t const* seen, index_t count,
            kernel::cached_head const& head, float scale, float* const* out,
            matrix_view<float> scores) {
    kernel::attend(queries, seen, count, head, scale, out, scores);
}
float dot(float const* a, float const* b, index_t count) { return kernel::dot(a, b, count); }
