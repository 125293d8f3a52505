// SPDX-License-Identifier: MIT
// A block of attention by itself, with numbers, its twin, and the ways to feed it.
#pragma once

#include <map>

#include "conformance/numbers.hpp"
#include "prytany/layer/attention.hpp"

namespace numbers {

/// The matrices of a block by role.
template <class Block>
std::map<std::string, twin::matrix> matrices_of(Block const& block) {
    std::map<std::string, twin::matrix> all;
    block.for_each_tensor([&](auto const& t) { all[std::string(t.name.role)] = stored(t); });
    return all;
}

/// x + attention(rms_norm(x)) for a whole sequence from position 0, one head at a time.
inline twin::matrix attention_twin(std::map<std::string, twin::matrix> const& w,
                                   attention_shape const& size, twin::matrix const& x) {
    auto const row = [&](char const* role) {
        return w.contains(role) ? w.at(role).all : twin::row{};
    };
    std::size_t const head = at(size.head), group = at(size.heads / size.kv_heads);
    twin::matrix normed = x;
    for (std::size_t t = 0; t < x.rows; ++t)
        normed.set_row(t,
                       twin::rms_norm(x.row_of(t), row("norm"), static_cast<double>(size.epsilon)));
    auto const q = twin::gemm(normed, w.at("q"), row("q_bias")),
               k = twin::gemm(normed, w.at("k"), row("k_bias")),
               v = twin::gemm(normed, w.at("v"), row("v_bias"));
    auto const part = [&](twin::matrix const& of, std::size_t t, std::size_t h) {
        auto const first = of.all.begin() + static_cast<std::ptrdiff_t>(t * of.cols + h * head);
        return twin::row(first, first + size.head);
    };
    twin::matrix mixed(x.rows, at(size.heads) * head);
    for (std::size_t h = 0; h < at(size.heads); ++h) {
        twin::matrix keys(x.rows, head), values(x.rows, head);
        for (std::size_t t = 0; t < x.rows; ++t) {
            keys.set_row(t, twin::rope(part(k, t, h / group), t, size.rope_base));
            values.set_row(t, part(v, t, h / group));
        }
        for (std::size_t t = 0; t < x.rows; ++t) {
            auto const one =
                twin::attention(twin::rope(part(q, t, h), t, size.rope_base), keys, values, t + 1,
                                1 / std::sqrt(static_cast<double>(size.head)));
            for (std::size_t c = 0; c < head; ++c) mixed(t, h * head + c) = one[c];
        }
    }
    twin::matrix y = twin::gemm(mixed, w.at("o"));
    for (std::size_t i = 0; i < y.all.size(); ++i) y.all[i] += x.all[i];
    return y;
}

/// Runs rows `first` … of x in pieces of this size from position `first` on; soiled memory.
template <class Block, class Executor>
rows feed(Block const& block, rows x, index_t first, index_t piece, kv_cache& cache,
          Executor&& pool) {
    typename Block::scratch room{};
    arena count;
    block.lay_out(room, count, std::min(piece, x.count), pool.width());
    buffer<float> memory(count.used() / 4);
    for (index_t t = 0; t < x.count; t += piece) {
        index_t const some = std::min(piece, x.count - t);
        for (index_t i = 0; i < memory.size(); ++i) memory[i] = std::nanf("");
        arena real(reinterpret_cast<std::byte*>(memory.data()));
        block.lay_out(room, real, some, pool.width());
        block.run(room, x.view().part(t, some), first + t, cache, pool);
    }
    return x;
}

} // namespace numbers
