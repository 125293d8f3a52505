// SPDX-License-Identifier: MIT
// How the work of a layer is cut for the workers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "prytany/simd/batch.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace detail {

/// Some panels of one expert's first phase, for all of its rows.
struct unit {
    std::int32_t expert, first, last;
};

/// Panels that are read at once for few rows: as many streams keep the memory busy.
inline constexpr index_t streams = 4;

inline constexpr index_t most_units(index_t experts, index_t panels, index_t shared_panels) {
    return experts * ((panels + streams - 1) / streams) + (shared_panels + streams - 1) / streams;
}

/// Cuts the first phase into items of about equal work, several for each worker; an expert without
/// rows has none. `load(e)` is its number of rows, `panels(e)` of panels. The last expert, the
/// shared one, comes first: it has the most rows.
template <class Load, class Panels>
std::span<unit> cut_units(std::span<unit> room, index_t experts, Load&& load, Panels&& panels,
                          index_t workers) noexcept {
    index_t total = 0;
    for (index_t e = 0; e < experts; ++e) total += load(e) * panels(e);
    index_t const share = std::max<index_t>(1, workers == 1 ? total : total / (16 * workers));
    std::size_t count = 0;
    for (index_t e = experts; e-- > 0;) {
        index_t const rows = load(e), all = panels(e);
        if (rows == 0) continue;
        index_t const fair = (share / rows + streams - 1) / streams * streams;
        index_t const step =
            std::clamp<index_t>(fair, streams, all > 0 ? std::max(all, streams) : streams);
        for (index_t p = 0; p < all; p += step)
            room[count++] = {static_cast<std::int32_t>(e), static_cast<std::int32_t>(p),
                             static_cast<std::int32_t>(std::min(p + step, all))};
    }
    return room.first(count);
}

/// Panels of output columns that one item of the second phase owns.
inline index_t columns_per_item(index_t columns, index_t workers, index_t tokens) noexcept {
    index_t const fair =
        std::max<index_t>(1, columns / (workers * (tokens >= 8 && workers > 1 ? 4 : 1)));
    return tokens < 4 ? std::min(fair, std::max(streams, columns / (8 * workers))) : fair;
}

/// Whether a product with so many rows is cut by rows.
inline constexpr index_t cut_rows = 12; // fill a micro-kernel
inline constexpr bool cut_by_rows(index_t rows) noexcept { return rows >= 2 * cut_rows; }

/// Runs f(first row, rows, first panel, last panel, worker) over a product: many rows are cut by
/// rows, few by panels, and what is too small for a second worker not at all.
template <class X, class F>
void over_rows_or_panels(X&& pool, index_t rows, index_t panels, F&& f) {
    if (cut_by_rows(rows)) {
        index_t const cuts = std::clamp<index_t>(rows / cut_rows, 1, 8 * pool.width());
        return pool.for_each(cuts, [&](index_t i, index_t worker) {
            index_t const first = rows * i / cuts;
            f(first, rows * (i + 1) / cuts - first, index_t{0}, panels, worker);
        });
    }
    index_t const cuts = std::clamp<index_t>(panels / streams, 1, pool.width());
    pool.for_each(cuts, [&](index_t i, index_t worker) {
        f(index_t{0}, rows, panels * i / cuts, panels * (i + 1) / cuts, worker);
    });
}

/// Scores some tokens; where they are few and there is much to read, workers share the experts, if
/// the scorer can be cut.
template <class S, class X, class In, class Kit, class Logits>
void score_on(X&& pool, In const& in, Kit const& own, Logits const& logits) {
    if constexpr (requires { S::panels(own); }) {
        constexpr index_t few = 8, worth = index_t{1} << 15; // tokens; weights of one worker
        index_t const panels = S::panels(own), weights = panels * panel_lanes * in.rows.cols;
        index_t const cuts = std::min({pool.width(), panels, weights / worth});
        if (in.tokens() < few && cuts > 1)
            return pool.for_each(cuts, [&](index_t i, index_t) {
                S::score_panels(in, own, logits, panels * i / cuts, panels * (i + 1) / cuts);
            });
    }
    S::score(in, own, logits);
}

/// Runs f(first token, tokens) for what is done token by token and costs little.
template <class X, class F>
void over_tokens(index_t tokens, X&& pool, F&& f) {
    constexpr index_t least = 32; // tokens that are worth a worker's while
    index_t const cuts = std::min(pool.width(), tokens / least);
    if (cuts <= 1) return f(index_t{0}, tokens);
    pool.for_each(cuts, [&](index_t i, index_t) {
        index_t const first = tokens * i / cuts;
        f(first, tokens * (i + 1) / cuts - first);
    });
}

/// out += weight · sum, in one rounding.
PRYTANY_INLINE void add_slot(float* out, float weight, simd::float_pair sum,
                             index_t count) noexcept {
    auto const w = simd::fill(weight);
    simd::store_first(out, simd::fma(w, sum.low, simd::load_first(out, count)), count);
    if (count > lanes)
        simd::store_first(out + lanes,
                          simd::fma(w, sum.high, simd::load_first(out + lanes, count - lanes)),
                          count - lanes);
}

} // namespace detail
} // namespace prytany::inline PRYTANY_ABI
