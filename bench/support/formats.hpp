// SPDX-License-Identifier: MIT
// The formats that benchmarks run through: adding one is one line here.
#pragma once

#include "prytany/format/dense.hpp"
#include "prytany/format/int4_blocks.hpp"
#include "prytany/format/int8_blocks.hpp"
#include "prytany/format/int8_rows.hpp"
#include "prytany/format/mxfp4.hpp"
#include "prytany/format/ternary.hpp"
#include "support/limits.hpp"

namespace bench {

/// Calls visit.operator()<Format>(label, bound) for every weight format.
///
/// The label is the word in the names of benchmarks: how weights are stored and, for codes, how
/// many bits the activations have. The bound is the unit that its products keep busy.
template <class Visit>
void for_each_format(Visit&& visit) {
    visit.template operator()<dense<float>{}>("f32", bound::fma);
    visit.template operator()<dense<bf16>{}>("bf16", bound::fma);
    visit.template operator()<dense<f16>{}>("f16", bound::fma);
    constexpr auto a16 = activations::int16, a8 = activations::int8;
    visit.template operator()<int8_rows{}>("int8_a32", bound::fma);
    visit.template operator()<int8_rows{.activations = a16}>("int8_a16", bound::madd);
    visit.template operator()<int8_blocks{.size = 32}>("int8_g32_a32", bound::fma);
    visit.template operator()<int8_blocks{.size = 32, .activations = a16}>("int8_g32_a16",
                                                                           bound::madd);
    visit.template operator()<int4_blocks{.size = 32}>("int4_g32_a32", bound::fma);
    visit.template operator()<int4_blocks{.size = 32, .activations = a8}>("int4_g32_a8",
                                                                          bound::maddubs);
    visit.template operator()<ternary{}>("ternary_a32", bound::fma);
    visit.template operator()<ternary{.activations = a8}>("ternary_a8", bound::maddubs);
    visit.template operator()<mxfp4{}>("mxfp4_a32", bound::fma);
    visit.template operator()<mxfp4{.activations = a8}>("mxfp4_a8", bound::maddubs);
}

/// Bytes of one weight, from a small matrix.
template <auto Format>
double bytes_of_weight() {
    index_t const rows = panel_lanes, cols = 4096;
    return static_cast<double>(packed<Format>(rows, cols).bytes()) /
           static_cast<double>(rows * cols);
}

} // namespace bench
