// SPDX-License-Identifier: MIT
// Causal attention on one core over a cache of S positions, for the last T of them: ours, a plain
// loop with all scores of a row, and Eigen with all scores of a head. `prytany_half` has half of
// the heads for every token, others for its neighbours, as heads that are experts do; only what it
// computes counts as operations. For one token the caches rotate, so that they come from memory.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include "prytany/kernel/head_slots.hpp"
#include "support/session.hpp"

namespace {

using namespace bench;

struct problem {
    index_t heads, kv_heads, size, tokens, positions;

    index_t group() const { return heads / kv_heads; }
    index_t seen(index_t token) const { return positions - tokens + token + 1; }
    float scale() const { return 1.0f / std::sqrt(static_cast<float>(size)); }
    double operations() const {
        double all = 0;
        for (index_t t = 0; t < tokens; ++t) all += static_cast<double>(seen(t));
        return 4 * all * static_cast<double>(heads * size);
    }
    double bytes() const {
        return 2.0 * sizeof(float) * static_cast<double>(kv_heads * size * positions);
    }
};

/// Queries and results [tokens, heads · size], keys and values [kv_heads, positions, size].
struct numbers {
    problem of;
    buffer<float> queries, keys, values, out;

    explicit numbers(problem const& p)
        : of(p), queries(p.tokens * p.heads * p.size), keys(p.kv_heads * p.positions * p.size),
          values(keys.size()), out(queries.size()) {
        noise random(5);
        for (auto* const all : {&queries, &keys, &values})
            for (index_t i = 0; i < all->size(); ++i) (*all)[i] = 2 * random();
    }
    float const* key(index_t kv, index_t s) const {
        return keys.data() + (kv * of.positions + s) * of.size;
    }
    float const* value(index_t kv, index_t s) const {
        return values.data() + (kv * of.positions + s) * of.size;
    }
};

/// Whether a token uses a head.
using choice = bool (*)(index_t token, index_t head);

/// The share of the keys and values that some token reads.
double share_read(problem const& p, choice uses) {
    index_t read = 0;
    for (index_t kv = 0; kv < p.kv_heads; ++kv) {
        bool used = false;
        for (index_t h = kv * p.group(); h < (kv + 1) * p.group(); ++h)
            for (index_t t = 0; t < p.tokens; ++t) used = used || uses(t, h);
        read += used;
    }
    return static_cast<double>(read) / static_cast<double>(p.kv_heads);
}

/// Sums in double for the first and the last token of every head.
double error_of(numbers const& n, choice uses) {
    std::vector<double> wanted, got;
    for (index_t const t : {index_t{0}, n.of.tokens - 1})
        for (index_t h = 0; h < n.of.heads; ++h) {
            if (!uses(t, h)) continue;
            float const* const q = n.queries.data() + (t * n.of.heads + h) * n.of.size;
            index_t const kv = h / n.of.group();
            double total = 0;
            std::vector<double> sum(static_cast<std::size_t>(n.of.size));
            for (index_t s = 0; s < n.of.seen(t); ++s) {
                double score = 0;
                for (index_t c = 0; c < n.of.size; ++c)
                    score += double{q[c]} * double{n.key(kv, s)[c]};
                double const w = std::exp(score * double{n.of.scale()});
                total += w;
                for (std::size_t c = 0; c < sum.size(); ++c)
                    sum[c] += w * double{n.value(kv, s)[c]};
            }
            for (std::size_t c = 0; c < sum.size(); ++c) {
                wanted.push_back(sum[c] / total);
                got.push_back(
                    double{n.out[(t * n.of.heads + h) * n.of.size + static_cast<index_t>(c)]});
            }
        }
    return square_error(wanted, got);
}

/// The cache as the kernels want it, and all heads with the tokens that use them.
struct ours {
    numbers n;
    index_t stride, blocks;
    buffer<float> keys, values, scratch;
    std::vector<kernel::cached_head> caches;
    std::vector<std::vector<std::int32_t>> tokens;
    std::vector<kernel::head_slots> heads;

    ours(problem const& p, choice uses)
        : n(p), stride((p.size + lanes - 1) / lanes * lanes),
          blocks((p.positions + lanes - 1) / lanes * lanes), keys(p.kv_heads * blocks * p.size),
          values(p.kv_heads * blocks * stride), scratch(kernel::attend_scratch(p.size)),
          tokens(static_cast<std::size_t>(p.heads)) {
        for (index_t kv = 0; kv < p.kv_heads; ++kv) {
            caches.push_back({keys.data() + kv * blocks * p.size,
                              values.data() + kv * blocks * stride, p.size, stride});
            for (index_t s = 0; s < p.positions; ++s)
                caches.back().put(s, n.key(kv, s), n.value(kv, s));
        }
        index_t const row = p.heads * p.size;
        for (index_t h = 0; h < p.heads; ++h) {
            auto& mine = tokens[static_cast<std::size_t>(h)];
            for (index_t t = 0; t < p.tokens; ++t)
                if (uses(t, h)) mine.push_back(static_cast<std::int32_t>(t));
            index_t const column = h * p.size;
            heads.push_back({mine.data(), nullptr, std::ssize(mine), n.queries.data() + column, row,
                             n.out.data() + column, row});
        }
    }
    void attend() {
        problem const& p = n.of;
        index_t const window = std::max<index_t>(1, 2 * kernel::attend_tile / p.group());
        for (index_t kv = 0; kv < p.kv_heads; ++kv)
            for (index_t first = 0; first < p.tokens; first += window)
                kernel::attend(heads.data() + kv * p.group(), p.group(), first,
                               std::min(p.tokens, first + window), p.positions - p.tokens,
                               caches[static_cast<std::size_t>(kv)], p.scale(), scratch.data());
    }
};

struct naive {
    numbers n;
    buffer<float> scores;

    naive(problem const& p, choice) : n(p), scores(p.positions) {}
    void attend() {
        problem const& p = n.of;
        for (index_t t = 0; t < p.tokens; ++t)
            for (index_t h = 0; h < p.heads; ++h) {
                index_t const place = (t * p.heads + h) * p.size, kv = h / p.group();
                float top = -INFINITY, total = 0;
                for (index_t s = 0; s < p.seen(t); ++s) {
                    float const* const key = n.key(kv, s);
                    float score = 0;
                    for (index_t c = 0; c < p.size; ++c) score += n.queries[place + c] * key[c];
                    scores[s] = score * p.scale();
                    top = std::max(top, scores[s]);
                }
                for (index_t s = 0; s < p.seen(t); ++s)
                    total += scores[s] = std::exp(scores[s] - top);
                float* const out = n.out.data() + place;
                std::fill_n(out, p.size, 0.0f);
                for (index_t s = 0; s < p.seen(t); ++s) {
                    float const* const value = n.value(kv, s);
                    float const w = scores[s] / total;
                    for (index_t c = 0; c < p.size; ++c) out[c] += w * value[c];
                }
            }
    }
};

struct eigen {
    numbers n;
    Eigen::MatrixXf scores; // a column for each token

    eigen(problem const& p, choice) : n(p), scores(p.positions, p.tokens) {}
    void attend() {
        using rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
        using apart = Eigen::OuterStride<>;
        problem const& p = n.of;
        apart const row(p.heads * p.size);
        for (index_t h = 0; h < p.heads; ++h) {
            index_t const kv = h / p.group(), column = h * p.size;
            Eigen::Map<rows const, 0, apart> const q(n.queries.data() + column, p.tokens, p.size,
                                                     row);
            Eigen::Map<rows, 0, apart> out(n.out.data() + column, p.tokens, p.size, row);
            Eigen::Map<rows const> const keys(n.key(kv, 0), p.positions, p.size),
                values(n.value(kv, 0), p.positions, p.size);
            if (p.tokens == 1) scores.col(0).noalias() = keys * q.row(0).transpose();
            else scores.noalias() = keys * q.transpose();
            for (index_t t = 0; t < p.tokens; ++t) {
                auto mine = scores.col(t).head(p.seen(t)).array();
                mine = ((mine - mine.maxCoeff()) * p.scale()).exp();
                mine /= mine.sum();
                scores.col(t).tail(p.positions - p.seen(t)).setZero();
            }
            if (p.tokens == 1)
                out.row(0).transpose().noalias() = values.transpose() * scores.col(0);
            else out.noalias() = scores.transpose() * values;
        }
    }
};

bool every(index_t, index_t) { return true; }
bool half(index_t token, index_t head) { return (token + head) % 2 == 0; }

template <class Contender>
void add(char const* who, problem const& p, choice uses) {
    auto const text = [](index_t i) { return std::to_string(i); };
    auto const name =
        joined({"attention/", who, "/h", text(p.heads), "_kv", text(p.kv_heads), "_d", text(p.size),
                "/T:", text(p.tokens), "_S:", text(p.positions), "/threads:1"});
    benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
        std::deque<Contender> all;
        double const wanted = p.tokens == 1 ? 256 * 1048576.0 : 1;
        while (static_cast<double>(all.size()) * p.bytes() < wanted) all.emplace_back(p, uses);
        all.front().attend();
        if (!(error_of(all.front().n, uses) < 1e-9))
            return state.SkipWithError("another result than in double");
        double const share = uses == half ? 0.5 : 1.0;
        std::size_t next = 0;
        time_calls(state,
                   {static_cast<double>(p.tokens), share * p.operations(),
                    share_read(p, uses) * p.bytes(), bound::fma, 1},
                   [&] {
                       all[next].attend();
                       benchmark::DoNotOptimize(all[next].n.out.data());
                       next = next + 1 == all.size() ? 0 : next + 1;
                   });
    })->Unit(benchmark::kMicrosecond);
}

int const added = add_later([] {
    for (problem p : {problem{4, 2, 32, 0, 0}, {16, 16, 64, 0, 0}, {32, 4, 128, 0, 0}})
        for (auto const& [tokens, positions] :
             {std::pair<index_t, index_t>{256, 256}, {64, 2048}, {1, 256}, {1, 4096}}) {
            p.tokens = tokens;
            p.positions = positions;
            add<ours>("prytany", p, every);
            add<ours>("prytany_half", p, half);
            add<eigen>("eigen", p, every);
            if (tokens * positions <= 65536) add<naive>("naive", p, every); // else minutes
        }
});

} // namespace
