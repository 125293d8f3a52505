// SPDX-License-Identifier: MIT
// What a layer throws for a call that cannot be right.
#pragma once

#include <string>

#include "prytany/core/error.hpp"
#include "prytany/core/input.hpp"
#include "prytany/core/shape.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace detail {

/// Throws an error unless rows, output and what describes the tokens have the sizes of the call.
inline void check_call(input const& in, matrix_view<float> out, index_t model) {
    index_t const tokens = in.tokens();
    if (in.rows.cols != model && tokens > 0)
        throw error("moe input", dims_text(tokens, model), dims_text(in.rows.rows, in.rows.cols));
    if ((out.cols != model && tokens > 0) || out.rows != tokens)
        throw error("moe output", dims_text(tokens, model), dims_text(out.rows, out.cols));
    auto const one_each = [&](char const* name, auto const& all) {
        if (!all.empty() && static_cast<index_t>(all.size()) != tokens)
            throw error(name, std::to_string(tokens) + " tokens", std::to_string(all.size()));
    };
    one_each("moe mask", in.mask);
    one_each("moe labels", in.labels);
    one_each("moe ids", in.ids);
    for (std::size_t s = 0; s < in.sequences.size(); ++s) {
        bool const rises = s == 0 ? in.sequences[0] == 0 : in.sequences[s] > in.sequences[s - 1];
        if (!rises || in.sequences[s] >= tokens)
            throw error("moe sequences",
                        "first tokens, ascending from 0, below " + std::to_string(tokens),
                        std::to_string(in.sequences[s]));
    }
    for (auto const& map : in.attention)
        if (map.rows != tokens || map.cols != tokens)
            throw error("moe attention", dims_text(tokens, tokens), dims_text(map.rows, map.cols));
    for (auto const& head : in.heads)
        if (head.rows != tokens || head.cols != model)
            throw error("moe heads", dims_text(tokens, model), dims_text(head.rows, head.cols));
    if (in.previous_logits.data != nullptr && in.previous_logits.rows != tokens)
        throw error("moe previous logits", std::to_string(tokens) + " rows",
                    std::to_string(in.previous_logits.rows));
    if (tokens == 0) return;
    if (in.rows.data == nullptr || out.data == nullptr)
        throw error("moe rows", dims_text(tokens, model), "a null pointer");
    auto const reaches = [](auto const& m) { return m.data + (m.rows - 1) * m.stride + m.cols; };
    if (out.data < reaches(in.rows) && in.rows.data < reaches(out))
        throw error("moe output", "rows that do not overlap the input", "overlapping rows");
}

} // namespace detail
} // namespace prytany::inline PRYTANY_ABI
