// SPDX-License-Identifier: MIT
// A text with, under every byte, the expert that had the most to say about it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

#include "console.hpp"
#include "generate.hpp"
#include "glyph.hpp"

namespace example {

/// One sign for an expert: 0–9, a–z, A–Z, then +.
inline char sign_of(index_t expert) {
    constexpr std::string_view signs =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return expert < std::ssize(signs) ? signs[static_cast<std::size_t>(expert)] : '+';
}

/// For a layer, how many bytes of the text each expert had the largest weight for.
inline std::vector<index_t> turns_of(generation const& done, index_t layer, index_t experts) {
    std::vector<index_t> turns(static_cast<std::size_t>(experts));
    auto const first = std::ssize(done.prompt) - 1, last = first + std::ssize(done.written);
    for (index_t i = first; i < last; ++i)
        ++turns[static_cast<std::size_t>(done.who.strongest(i, layer))];
    return turns;
}

/// The layer whose experts took turns most evenly (the largest entropy of who was strongest).
inline index_t most_varied_layer(generation const& done, index_t experts) {
    index_t best = 0;
    double most = -1;
    for (index_t layer = 0; layer < done.who.layers(); ++layer) {
        double entropy = 0;
        for (index_t const times : turns_of(done, layer, experts)) {
            double const part =
                static_cast<double>(times) / static_cast<double>(done.written.size());
            if (times > 0) entropy -= part * std::log(part);
        }
        if (entropy > most) best = layer;
        most = std::max(most, entropy);
    }
    return best;
}

/// The signs of those who wrote most, with their part of the text.
inline void print_writers(console const& out, generation const& done, index_t layer,
                          index_t experts) {
    auto const turns = turns_of(done, layer, experts);
    std::vector<index_t> order(turns.size());
    std::iota(order.begin(), order.end(), 0);
    auto const of = [&](index_t e) { return turns[static_cast<std::size_t>(e)]; };
    std::stable_sort(order.begin(), order.end(),
                     [&](index_t a, index_t b) { return of(a) > of(b); });
    order.resize(std::min<std::size_t>(order.size(), 8));
    for (int line = 0; auto const e : order) {
        if (of(e) == 0) break;
        std::string const sign{sign_of(e)};
        std::printf("%s%s expert %-2td %3.0f %%", line++ % 4 == 0 ? "\n  " : "   ",
                    (out.colours() ? out.on(kind_colour(e), sign) : sign + " =").c_str(), e,
                    100 * static_cast<double>(of(e)) / static_cast<double>(done.written.size()));
    }
    std::printf("\n");
}

/// Pairs of lines: the text, and below every byte its strongest expert in a layer.
inline void print_written_by(console const& out, generation const& done, index_t layer) {
    constexpr index_t width = 72;
    std::string const all = done.text();
    std::string above, below;
    index_t column = 0;
    auto const flush = [&] {
        if (column > 0) std::printf("  %s\n  %s\n", above.c_str(), below.c_str());
        above.clear();
        below.clear();
        column = 0;
    };
    for (std::size_t at = 0; at < all.size();) {
        glyph const g = glyph_at(all, at);
        index_t const columns = std::max(g.bytes, g.columns);
        if (column + columns > width) flush();
        auto const byte = [&](index_t i) { // the slots that wrote byte i of the text
            return done.who.strongest(std::ssize(done.prompt) + i - 1, layer);
        };
        auto const first = static_cast<index_t>(at);
        above += out.colours() ? out.on(kind_colour(byte(first)), g.shown) : g.shown;
        for (index_t c = g.columns; c < columns; ++c) above += out.dim("·");
        for (index_t i = first; i < first + g.bytes; ++i)
            below += out.colours() ? out.in(kind_colour(byte(i)), {sign_of(byte(i))})
                                   : std::string{sign_of(byte(i))};
        below.append(static_cast<std::size_t>(columns - g.bytes), ' ');
        column += columns;
        at += static_cast<std::size_t>(g.bytes);
        if (g.shown == "↵") flush();
    }
    flush();
}

} // namespace example
