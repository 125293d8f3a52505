// SPDX-License-Identifier: MIT
// Attention of chosen (token, head) pairs: heads as experts.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "prytany/kernel/attention.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace kernel {

/// The tokens that use one query head, where their queries lie and where the results go.
///
///     slot i is of token t = tokens[i]: its query is row t, its result row t or, packed, row i
///
/// `tokens` and `weights` are what `plan::tokens_of` and `weights_of` a head give, with its slots'
/// first row as `out` where `packed`.
/// Test      tests/kernel/head_slots.test.cpp
struct head_slots {
    std::int32_t const* tokens = nullptr; ///< ascending; null: 0 … count - 1
    float const* weights = nullptr;       ///< of the results; null: 1
    index_t count = 0;
    float const* queries = nullptr;
    index_t query_stride = 0;
    float* out = nullptr;
    index_t out_stride = 0;
    bool packed = false;
};

/// Attention of query heads that share one head of keys and values, for their slots with a token in
/// [first, last); nothing is computed or written for any other token.
///
///     out = weight · attend(query of t)     over the positions s ≤ position + t
///
/// A slot has the bits that its row has in any other call of `attend`.
/// Pre       as of `attend`; position + first ≥ 0
/// Source    Jin et al. 2024 (MoH), arXiv:2410.11842; grouped heads: Ainslie et al. 2023,
///           arXiv:2305.13245
/// Test      tests/kernel/head_slots.test.cpp
inline void attend(head_slots const* heads, index_t count, index_t first, index_t last,
                   index_t position, cached_head const& shared, float scale,
                   float* scratch) noexcept {
    query_row rows[static_cast<std::size_t>(attend_tile)];
    index_t waiting = 0;
    for (index_t h = 0; h < count; ++h) {
        head_slots const& head = heads[h];
        auto const token = [&](index_t i) { return head.tokens ? index_t{head.tokens[i]} : i; };
        index_t i = first;
        if (head.tokens)
            i = std::lower_bound(head.tokens, head.tokens + head.count, first) - head.tokens;
        for (; i < head.count && token(i) < last; ++i) {
            index_t const t = token(i);
            rows[waiting++] = {head.queries + t * head.query_stride,
                               head.out + (head.packed ? i : t) * head.out_stride, position + t + 1,
                               head.weights ? head.weights[i] : 1.0f};
            if (waiting < attend_tile) continue;
            attend(rows, waiting, shared, scale, scratch);
            waiting = 0;
        }
    }
    attend(rows, waiting, shared, scale, scratch);
}

} // namespace kernel
} // namespace prytany::inline PRYTANY_ABI
