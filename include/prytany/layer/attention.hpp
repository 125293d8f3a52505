// SPDX-License-Identifier: MIT
// A block of causal self-attention with its cache of keys and values.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>

#include "prytany/core/arena.hpp"
#include "prytany/exec/concept.hpp"
#include "prytany/format/tensor.hpp"
#include "prytany/kernel/attention.hpp"
#include "prytany/kernel/gemm.hpp"
#include "prytany/kernel/norm.hpp"
#include "prytany/kernel/rope.hpp"
#include "prytany/layer/detail/schedule.hpp"

namespace prytany::inline PRYTANY_ABI {

/// The sizes and numbers of an attention block; `kv_heads` divides `heads`.
struct attention_shape {
    index_t model = dynamic, heads = dynamic, kv_heads = dynamic, head = dynamic;
    index_t positions = dynamic; ///< the longest sequence
    bool biases = false;         ///< of q, k and v
    double rope_base = 10000.0;
    float epsilon = 1e-6f;
};

/// The keys and values that one sequence has left in one block; what outlives a call.
class kv_cache {
public:
    kv_cache() = default;
    explicit kv_cache(attention_shape const& size)
        : blocks_((size.positions + lanes - 1) / lanes), head_(size.head),
          stride_((size.head + lanes - 1) / lanes * lanes),
          keys_(size.kv_heads * blocks_ * lanes * head_),
          values_(size.kv_heads * blocks_ * lanes * stride_) {}

    kernel::cached_head head(index_t h) noexcept {
        return {keys_.data() + h * blocks_ * lanes * head_,
                values_.data() + h * blocks_ * lanes * stride_, head_, stride_};
    }

private:
    index_t blocks_ = 0, head_ = 0, stride_ = 0;
    buffer<float> keys_, values_;
};

/// Pre-norm causal self-attention, added to its input:
///
///     x += attend(rope(n·Q + q), rope(n·K + k), n·V + v) · O,   n = rms_norm(x)
///
/// Query heads share `heads / kv_heads` to one head of keys and values. A token has the same bits
/// whether its sequence comes at once, in pieces or token by token, with any number of threads.
/// Source    Vaswani et al. 2017, arXiv:1706.03762; grouped heads: Ainslie et al. 2023,
///           arXiv:2305.13245
/// Compile   Format        Run   attention_shape
/// Throws    error at construction, for sizes that do not fit together
/// Test      tests/layer/attention.test.cpp
template <auto Format = dense<float>{}>
class attention_block {
public:
    struct scratch {
        matrix_view<float> normed, projected, mixed, scores;
        matrix_view<kernel::input_of<Format>> read; // what the products read, if rounded
    };

    explicit attention_block(attention_shape const& size)
        : size_(size), rotation_(check(size).positions, size.head, size.rope_base) {
        qkv_.resize((size.heads + 2 * size.kv_heads) * size.head, size.model);
        qkv_bias_.resize(qkv_.rows(), 1);
        output_.resize(size.model, size.heads * size.head);
        norm_.resize(size.model, 1);
    }
    attention_shape const& sizes() const noexcept { return size_; }

    template <class Visit>
    void for_each_tensor(Visit&& visit) {
        visit_tensors(*this, visit);
    }
    template <class Visit>
    void for_each_tensor(Visit&& visit) const {
        visit_tensors(*this, visit);
    }
    void lay_out(scratch& room, arena& memory, index_t tokens, index_t workers) const {
        room.normed = memory.take<float>(tokens, size_.model);
        room.projected = memory.take<float>(tokens, qkv_.panels() * panel_lanes);
        room.mixed = memory.take<float>(tokens, size_.heads * size_.head);
        if constexpr (kernel::rounds<Format>())
            room.read = memory.take<kernel::input_of<Format>>(
                tokens, kernel::read_stride<Format>(std::max(qkv_.cols(), output_.cols())));
        room.scores = memory.take<float>(workers, kernel::attend_scratch(size_.head));
    }

    /// Adds the block to `x` [tokens, model], the tokens of one sequence from `position` on.
    template <executor X>
    void run(scratch& room, matrix_view<float> x, index_t position, kv_cache& cache,
             X&& pool) const {
        project(room, x, position, cache, pool);
        mix(room, x.rows, position, cache, pool);
        bool const by_rows = detail::cut_by_rows(x.rows);
        if (!by_rows) round(room.mixed, room.read, 0, x.rows);
        detail::over_rows_or_panels(
            pool, x.rows, output_.panels(),
            [&](index_t first, index_t rows, index_t from, index_t to, index_t) {
                auto const add = [&](index_t row, index_t panel, simd::float_pair sum) {
                    index_t const column = panel * panel_lanes;
                    detail::add_slot(x.row(first + row) + column, 1.0f, sum, x.cols - column);
                };
                if (by_rows) round(room.mixed, room.read, first, rows);
                kernel::multiply<Format>(rows_of(room.mixed, room.read, first), rows, output_, from,
                                         to, add);
            });
    }

private:
    attention_shape size_;
    kernel::rotation rotation_;
    packed<Format> qkv_, output_;
    column qkv_bias_, norm_;

    static constexpr index_t largest = index_t{1} << 30; // no product of two sizes overflows

    static attention_shape const& check(attention_shape const& size) {
        for (auto [name, value] : {std::pair{"model", size.model},
                                   {"heads", size.heads},
                                   {"kv_heads", size.kv_heads},
                                   {"head", size.head},
                                   {"positions", size.positions}})
            if (value < 1 || value > largest)
                throw error(std::string("attention.") + name, "1 to " + std::to_string(largest),
                            std::to_string(value));
        if (size.heads % size.kv_heads != 0)
            throw error("attention.kv_heads",
                        "a divisor of " + std::to_string(size.heads) + " heads",
                        std::to_string(size.kv_heads));
        if (size.head % 2 != 0)
            throw error("attention.head", "an even number, for rotation",
                        std::to_string(size.head));
        if (!(size.rope_base > 0 && std::isfinite(size.rope_base)))
            throw error("attention.rope_base", "a finite number > 0",
                        std::to_string(size.rope_base));
        if (!(size.epsilon >= 0 && std::isfinite(size.epsilon)))
            throw error("attention.epsilon", "a finite number >= 0", std::to_string(size.epsilon));
        return size;
    }
    template <class Self, class Visit>
    static void visit_tensors(Self& block, Visit& visit) {
        attention_shape const& size = block.size_;
        index_t const q = size.heads * size.head, kv = size.kv_heads * size.head;
        auto const named = [](std::string_view role) { return tensor_name{"attention", role}; };
        row_map const keys{0, 1, q}, values{0, 1, q + kv};
        visit(tensor{named("norm"), size.model, index_t{1}, &block.norm_, row_map{}, true});
        visit(tensor{named("q"), q, size.model, &block.qkv_});
        visit(tensor{named("k"), kv, size.model, &block.qkv_, keys});
        visit(tensor{named("v"), kv, size.model, &block.qkv_, values});
        visit(tensor{named("o"), size.model, q, &block.output_});
        if (!size.biases) return;
        visit(tensor{named("q_bias"), q, index_t{1}, &block.qkv_bias_, row_map{}, true});
        visit(tensor{named("k_bias"), kv, index_t{1}, &block.qkv_bias_, keys, true});
        visit(tensor{named("v_bias"), kv, index_t{1}, &block.qkv_bias_, values, true});
    }
    using read_rows = matrix_view<kernel::input_of<Format>>;

    /// Rounds some rows for the products that read them, if the format says so.
    static void round(matrix_view<float> m, read_rows to, index_t first, index_t rows) noexcept {
        if constexpr (kernel::rounds<Format>())
            for (index_t t = first; t < first + rows; ++t)
                kernel::rounded_row<Format>::write(m.row(t), m.cols, to.row(t));
    }
    static auto rows_of(matrix_view<float> m, read_rows rounded, index_t first) noexcept {
        if constexpr (kernel::rounds<Format>())
            return kernel::picked<kernel::input_of<Format>>{rounded.row(first), rounded.stride};
        else return kernel::picked_rows{m.row(first), m.stride};
    }

    template <class X>
    void project(scratch& room, matrix_view<float> x, index_t position, kv_cache& cache,
                 X&& pool) const {
        auto const norm = [&](index_t first, index_t rows) {
            for (index_t t = first; t < first + rows; ++t)
                kernel::rms_norm(x.row(t), norm_.data(), room.normed.row(t), size_.model,
                                 size_.epsilon);
            round(room.normed, room.read, first, rows);
        };
        auto const keep = [&](index_t first, index_t rows) {
            index_t const head = size_.head;
            for (index_t t = first; t < first + rows; ++t) {
                float* const row = room.projected.row(t);
                for (index_t h = 0; h < size_.heads + size_.kv_heads; ++h)
                    rotation_.turn(row + h * head, position + t);
                float const* const keys = row + size_.heads * head;
                float const* const values = keys + size_.kv_heads * head;
                for (index_t h = 0; h < size_.kv_heads; ++h)
                    cache.head(h).put(position + t, keys + h * head, values + h * head);
            }
        };
        bool const by_rows = detail::cut_by_rows(x.rows); // else rows are complete only at the end
        if (!by_rows) norm(0, x.rows);
        detail::over_rows_or_panels(
            pool, x.rows, qkv_.panels(),
            [&](index_t first, index_t rows, index_t from, index_t to, index_t) {
                if (by_rows) norm(first, rows);
                auto const write = [&](index_t row, index_t panel, simd::float_pair sum) {
                    float const* const shift = qkv_bias_.data() + panel * panel_lanes;
                    float* const to_row = room.projected.row(first + row) + panel * panel_lanes;
                    simd::store(to_row, sum.low + simd::load(shift));
                    simd::store(to_row + lanes, sum.high + simd::load(shift + lanes));
                };
                kernel::multiply<Format>(rows_of(room.normed, room.read, first), rows, qkv_, from,
                                         to, write);
                if (by_rows) keep(first, rows);
            });
        if (!by_rows) keep(0, x.rows);
    }

    /// Every item is one head of keys and values with some neighbouring tokens.
    template <class X>
    void mix(scratch& room, index_t tokens, index_t position, kv_cache& cache, X&& pool) const {
        constexpr index_t most = kernel::attend_tile;
        index_t const group = size_.heads / size_.kv_heads,
                      together = std::max<index_t>(1, most / group),
                      blocks = (tokens + together - 1) / together;
        float const scale = 1.0f / std::sqrt(static_cast<float>(size_.head));
        auto const item = [&](index_t i, index_t worker) {
            index_t const kv = i % size_.kv_heads, first = i / size_.kv_heads * together;
            index_t const last = std::min(tokens, first + together);
            kernel::query_row rows[static_cast<std::size_t>(most)];
            index_t count = 0;
            for (index_t t = first; t < last; ++t)
                for (index_t g = 0; g < group; ++g) {
                    index_t const column = (kv * group + g) * size_.head;
                    rows[count++] = {room.projected.row(t) + column, room.mixed.row(t) + column,
                                     position + t + 1};
                    if (count < most && (t + 1 < last || g + 1 < group)) continue;
                    kernel::attend(rows, count, cache.head(kv), scale, room.scores.row(worker));
                    count = 0;
                }
        };
        constexpr index_t worth = 4096; // positions · features that pay for a second worker
        index_t const items = blocks * size_.kv_heads;
        if (items * (position + tokens) * size_.head * group < worth * pool.width())
            for (index_t i = 0; i < items; ++i) item(i, 0);
        else pool.for_each(items, item);
    }
};

} // namespace prytany::inline PRYTANY_ABI
