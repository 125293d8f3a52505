// SPDX-License-Identifier: MIT
// Calls of a router, drawn from a seed: everything that a caller may know, and awkward numbers.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "conformance/numbers.hpp"
#include "prytany/router/concept.hpp"

namespace properties {

using namespace prytany;
using numbers::at, numbers::lists, numbers::rows;

/// Numbers drawn from a seed, the same on every machine.
class luck {
public:
    explicit luck(std::uint64_t seed, std::uint64_t stream = 0)
        : state_(seed * 0x9e3779b97f4a7c15u + stream * 0xd1b54a32d192ed03u) {}
    std::uint64_t word() noexcept {
        std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    /// 0 to count - 1.
    index_t below(index_t count) noexcept {
        return static_cast<index_t>(word() % static_cast<std::uint64_t>(count));
    }
    bool one_in(index_t count) noexcept { return below(count) == 0; }
    /// Uniform in [-1, 1).
    float uniform() noexcept { return static_cast<float>(word() >> 40) * 0x1p-23f - 1.0f; }
    /// In the shape of a bell, deviation 1.
    float bell() noexcept { return (uniform() + uniform() + uniform()); }

private:
    std::uint64_t state_;
};

/// What logits may be: all that a float can hold, numbers with awkward ones, or any bits.
enum class numbers_of { awkward, finite, bits };

inline float awkward(luck& draw, numbers_of kind) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    switch (draw.below(kind == numbers_of::finite ? 4 : 8)) {
    case 0:
        return draw.one_in(2) ? 3e38f : -3e38f;
    case 1:
        return draw.uniform() * 1e-39f;
    case 2:
        return draw.one_in(2) ? 0.0f : -0.0f;
    case 3:
        return static_cast<float>(draw.below(3)); // ties
    case 4:
        return infinity;
    case 5:
        return -infinity;
    default:
        return draw.one_in(2) ? std::nanf("") : -std::nanf("7");
    }
}
/// Every other row has awkward numbers in every other place: a quarter of all.
inline void fill_logits(rows& z, luck& draw, numbers_of kind) {
    for (index_t t = 0; t < z.count; ++t) {
        float const spread = draw.one_in(3) ? 20.0f : 2.0f;
        bool const mixed = draw.one_in(2);
        for (index_t e = 0; e < z.cols; ++e) {
            float& s = z.row(t)[e];
            if (kind == numbers_of::bits) s = std::bit_cast<float>(std::uint32_t(draw.word()));
            else s = mixed && draw.one_in(2) ? awkward(draw, kind) : spread * draw.bell();
        }
    }
}
inline void fill_bell(rows& x, luck& draw) {
    for (float& number : x.all) number = draw.bell();
}

/// One call, with all that a caller may know of its tokens.
struct question {
    rows x, logits;
    std::vector<std::uint8_t> mask;
    std::vector<index_t> sequences;
    std::vector<std::int32_t> labels, ids;
    std::vector<rows> maps, heads;
    std::uint64_t seed = 0;
    index_t first = 0;

    static constexpr index_t model = 12, labels_of = 4, words = 40;

    question(index_t tokens, index_t experts) : x(tokens, model), logits(tokens, experts) {}
    question(luck& draw, index_t tokens, index_t experts, numbers_of kind)
        : question(tokens, experts) {
        fill_bell(x, draw);
        fill_logits(logits, draw, kind);
        seed = draw.word();
        first = draw.one_in(2) ? draw.below(1000) : 0;
        sequences.push_back(0);
        for (index_t t = 1; t < tokens; ++t)
            if (draw.one_in(4)) sequences.push_back(t);
        for (index_t t = 0; t < tokens; ++t) {
            labels.push_back(static_cast<std::int32_t>(draw.below(labels_of)));
            ids.push_back(static_cast<std::int32_t>(draw.below(words)));
        }
        for (int h = 0; h < 2; ++h) attend(draw);
        if (draw.one_in(4)) hide_some(draw);
    }
    /// Makes about a quarter of the tokens padding.
    void hide_some(luck& draw) {
        mask.assign(at(tokens()), 1);
        for (auto& byte : mask) byte = draw.one_in(4) ? 0 : 1;
    }
    index_t tokens() const { return x.count; }
    index_t experts() const { return logits.cols; }
    bool present(index_t t) const { return mask.empty() || mask[at(t)] != 0; }
    index_t sequence_of(index_t token) const {
        index_t s = 0;
        while (s + 1 < std::ssize(sequences) && sequences[at(s + 1)] <= token) ++s;
        return s;
    }
    bool finite(index_t t) const {
        for (float const s : logits.row_of(t))
            if (!std::isfinite(s)) return false;
        return true;
    }
    bool nan(index_t t) const {
        auto const row = logits.row_of(t);
        return std::any_of(row.begin(), row.end(), [](float s) { return std::isnan(s); });
    }
    seen view() const {
        views_.clear();
        for (auto const& m : maps) views_.push_back(m.view());
        for (auto const& h : heads) views_.push_back(h.view());
        seen in{input{x.view()}};
        in.mask = mask;
        in.sequences = sequences;
        in.labels = labels;
        in.ids = ids;
        in.attention = std::span(views_).first(maps.size());
        in.heads = std::span(views_).last(heads.size());
        in.seed = seed;
        in.first = first;
        in.logits = logits.view();
        in.previous_logits = logits.view();
        return in;
    }
    /// The same tokens in another order; the maps between them stay.
    question in_order(std::vector<index_t> const& order) const {
        question other = *this;
        for (index_t t = 0; t < tokens(); ++t) other.take(t, *this, order[at(t)]);
        return other;
    }
    /// `count` tokens from `from` on, with the maps between them: whole sequences, or a beginning.
    question part(index_t from, index_t count) const {
        question some(count, experts());
        some.x = x.part(from, count);
        some.logits = logits.part(from, count);
        auto const cut = [&](auto const& all) {
            return all.empty() ? all
                               : std::remove_cvref_t<decltype(all)>(all.begin() + from,
                                                                    all.begin() + from + count);
        };
        some.mask = cut(mask);
        some.labels = cut(labels);
        some.ids = cut(ids);
        for (index_t const s : sequences)
            if (s >= from && s < from + count) some.sequences.push_back(s - from);
        for (auto const& m : maps) {
            rows block(count, count);
            for (index_t t = 0; t < count; ++t)
                for (index_t u = 0; u < count; ++u)
                    block.row(t)[u] = m.view().row(from + t)[from + u];
            some.maps.push_back(block);
        }
        for (auto const& h : heads) some.heads.push_back(h.part(from, count));
        some.seed = seed;
        some.first = first + from;
        return some;
    }
    question sequence(index_t s) const {
        index_t const from = sequences[at(s)];
        return part(from, (s + 1 < std::ssize(sequences) ? sequences[at(s + 1)] : tokens()) - from);
    }
    /// Other numbers for one token.
    void redraw(index_t t, luck& draw, numbers_of kind) {
        question other(1, experts());
        fill_logits(other.logits, draw, kind);
        fill_bell(other.x, draw);
        for (std::size_t h = 0; h < heads.size(); ++h) {
            other.heads.emplace_back(1, model);
            fill_bell(other.heads.back(), draw);
        }
        put(t, other, 0);
    }
    void spoil(index_t t, float with) {
        question other(1, experts());
        other.logits = rows(1, experts(), with);
        other.x = rows(1, model, with);
        other.heads.assign(heads.size(), other.x);
        put(t, other, 0);
    }

private:
    mutable std::vector<matrix_view<float const>> views_;

    static void copy(rows& to, index_t t, rows const& from, index_t u) {
        std::copy_n(from.all.begin() + u * from.cols, from.cols, to.row(t));
    }
    void put(index_t t, question const& from, index_t u) {
        copy(logits, t, from.logits, u);
        copy(x, t, from.x, u);
        for (std::size_t h = 0; h < heads.size(); ++h) copy(heads[h], t, from.heads[h], u);
    }
    void take(index_t t, question const& from, index_t u) {
        put(t, from, u);
        if (!mask.empty()) mask[at(t)] = from.mask[at(u)];
        labels[at(t)] = from.labels[at(u)];
        ids[at(t)] = from.ids[at(u)];
    }
    /// A head: a causal map within each sequence, and what it makes of the rows.
    void attend(luck& draw) {
        rows map(tokens(), tokens()), out(tokens(), model);
        for (index_t t = 0; t < tokens(); ++t) {
            index_t const begin = sequences[at(sequence_of(t))];
            float total = 0;
            for (index_t u = begin; u <= t; ++u)
                total += map.row(t)[u] = 0.01f + std::abs(draw.bell());
            for (index_t u = begin; u <= t; ++u) {
                map.row(t)[u] /= total;
                for (index_t c = 0; c < model; ++c) out.row(t)[c] += map.row(t)[u] * x.row(u)[c];
            }
        }
        maps.push_back(map);
        heads.push_back(out);
    }
};

} // namespace properties
