// SPDX-License-Identifier: MIT
// The bundled model with weights of one format: however a prompt comes, the bits are the same.
#pragma once

#include "conformance/numbers.hpp"
#include "family/bundled.hpp"
#include "prytany/exec/thread_pool.hpp"
#include "support/catch.hpp"

namespace bundled {

/// The logits of prompt 0, which are the same at once, byte by byte, in sevens, at 1, 2, 4 threads.
template <auto Format>
std::vector<float> invariant() {
    auto const lm = model<Format>();
    auto const all = prompt(0);
    std::vector<float> first;
    for (index_t const width : {1, 2, 4}) {
        thread_pool pool(width);
        for (index_t const piece : {1024, 1, 7}) {
            auto got = logits(lm, all, piece, pool);
            if (first.empty()) first = std::move(got);
            else CHECK(numbers::same_bits(got, first));
        }
    }
    return first;
}

} // namespace bundled
