// SPDX-License-Identifier: MIT
// The formats that benchmarks run through: adding one is one line here.
#pragma once

#include "prytany/format/dense.hpp"
#include "support/limits.hpp"

namespace bench {

/// Calls visit.operator()<Format>(label, bound) for every weight format.
///
/// The label is the word in the names of benchmarks: how weights are stored and, where the
/// activations are not floats, `_a16` or `_a8`. The bound is the unit that its products keep busy.
template <class Visit>
void for_each_format(Visit&& visit) {
    visit.template operator()<dense<float>{}>("f32", bound::fma);
    visit.template operator()<dense<bf16>{}>("bf16", bound::fma);
    visit.template operator()<dense<f16>{}>("f16", bound::fma);
}

/// Bytes of one weight, from a small matrix.
template <auto Format>
double bytes_of_weight() {
    index_t const rows = panel_lanes, cols = 4096;
    return static_cast<double>(packed<Format>(rows, cols).bytes()) /
           static_cast<double>(rows * cols);
}

} // namespace bench
