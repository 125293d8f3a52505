// SPDX-License-Identifier: MIT
// How every router is named, fed, timed and counted: the same tokens for all of them.
#pragma once

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "prytany/core/buffer.hpp"
#include "prytany/format/tensor.hpp"
#include "prytany/router/concept.hpp"
#include "router/tokens.hpp"
#include "support/session.hpp"

namespace bench {

/// The slots of all tokens of a batch, as a router chose them.
struct choice {
    std::vector<std::vector<slot>> of;
    index_t most = 1;
};
/// Seconds of one call of a layer whose routing is given; a large batch is measured in part.
double layer_seconds(routed_size const&, matrix_view<float const> x, choice const&);

/// How slots spread, over all tokens that a benchmark saw.
class spread {
public:
    explicit spread(index_t experts) : loads_(static_cast<std::size_t>(experts)) {}

    void add(plan const& of) {
        for (index_t t = 0; t < of.tokens(); ++t) {
            double sum = 0, entropy = 0;
            for (slot const s : of.slots_of(t)) {
                if (s.tier != 0) continue;
                ++loads_[static_cast<std::size_t>(s.expert)];
                sum += std::abs(double{s.weight});
            }
            for (slot const s : of.slots_of(t)) {
                double const p = s.tier == 0 && sum > 0 ? std::abs(double{s.weight}) / sum : 0;
                if (p > 0) entropy -= p * std::log(p);
            }
            entropy_ += entropy;
            ++tokens_;
        }
    }
    void report(benchmark::State& state) const {
        double total = 0, most = 0, squares = 0, entropy = 0;
        for (double const n : loads_) total += n, most = std::max(most, n);
        double const mean = total / static_cast<double>(loads_.size());
        for (double const n : loads_) {
            squares += (n - mean) * (n - mean);
            if (n > 0) entropy -= n / total * std::log(n / total);
        }
        state.counters["experts_per_token"] = total / tokens_;
        state.counters["entropy"] = entropy;
        state.counters["token_entropy"] = entropy_ / tokens_;
        if (mean == 0) return;
        state.counters["load_cv"] = std::sqrt(squares / static_cast<double>(loads_.size())) / mean;
        state.counters["max_vio"] = most / mean - 1;
    }

private:
    std::vector<double> loads_;
    double tokens_ = 0, entropy_ = 0;
};

/// A router with its scorer, its weights and the memory of one call.
template <auto Router>
class asked_router {
public:
    using R = kind_of<Router>;
    static constexpr auto own_scorer = scorer_of(Router);
    using S = kind_of<own_scorer>;
    static constexpr bool scores = !std::same_as<S, nothing>;

    asked_router(routed_size const& of, params_of<R> const& own, index_t tokens)
        : size_{.model = of.model, .hidden = of.hidden, .experts = of.experts}, params_(own),
          most_(Router.slots(size_, own)) {
        auto const fill = [&](auto const& t) {
            t.allocate();
            for (index_t r = 0; r < t.rows; ++r)
                t.pack_row(r, t.name.role == "weight" && t.cols == of.model
                                  ? router_row(of, r)
                                  : row_of(t.name.role, r, t.cols));
        };
        if constexpr (scores) own_scorer.tensors(scorer_, size_, fill);
        router_tensors(Router, weights_, size_, fill);
        arena count;
        lay_out(count, tokens);
        memory_ = buffer<std::byte>(count.used());
        arena memory(memory_.data());
        lay_out(memory, tokens);
    }
    index_t most() const { return most_; }
    /// Everything that a layer does before its experts.
    prytany::plan const& operator()(input const& in) {
        seen mine{in};
        if constexpr (scores) {
            S::score(in, kit<own_scorer>{{}, scorer_, scorer_scratch_}, logits_);
            mine.logits = logits_;
        }
        plan_.open();
        R::select(mine, kit<Router>{params_, weights_, scratch_}, plan_);
        plan_.close();
        return plan_;
    }

private:
    shape size_;
    params_of<R> params_;
    index_t most_;
    weights_of<R> weights_{};
    weights_of<S> scorer_{};
    scratch_of<R> scratch_{};
    scratch_of<S> scorer_scratch_{};
    prytany::plan plan_;
    matrix_view<float> logits_;
    buffer<std::byte> memory_;

    void lay_out(arena& memory, index_t tokens) {
        plan_.lay_out(memory, tokens, most_, size_.experts);
        logits_ = memory.take<float>(tokens, size_.experts);
        lay_out_scratch(Router, scratch_, memory, size_, tokens);
        lay_out_scratch(own_scorer, scorer_scratch_, memory, size_, tokens);
    }
    /// A mask that prunes nothing, a map of small numbers otherwise.
    static std::vector<float> row_of(std::string_view role, index_t r, index_t cols) {
        if (role == "pruned" || role == "steering" || role == "correction")
            return std::vector<float>(static_cast<std::size_t>(cols));
        return weights(static_cast<std::uint32_t>(500 + r), 1, cols, false);
    }
};

template <auto Router>
void run_router(benchmark::State& state, std::string const& policy, routed_size const& size,
                std::string const& kind, index_t tokens, params_of<kind_of<Router>> const& own) {
    auto const feed = in_memory().get<batches_of>(
        joined({"tokens/", size.name, "/", kind, ending(tokens, 1)}),
        4.0 * static_cast<double>(batches_of::count(tokens) * tokens * size.model),
        [&] { return std::make_shared<batches_of>(size, kind, tokens); });
    asked_router<Router> router(size, own, tokens);
    spread seen_by(size.experts);
    choice first;
    first.most = router.most();
    for (auto const& one : feed->all) {
        prytany::plan const& plan = router(one.in());
        seen_by.add(plan);
        if (!first.of.empty()) continue;
        for (index_t t = 0; t < tokens; ++t) {
            auto const own_slots = plan.slots_of(t);
            first.of.emplace_back(own_slots.begin(), own_slots.end());
        }
    }
    std::vector<double> times;
    std::size_t next = 0;
    for (auto _ : state) {
        auto const in = feed->all[next].in();
        auto const start = clock::now();
        router(in);
        benchmark::ClobberMemory();
        times.push_back(seconds_since(start));
        next = (next + 1) % feed->all.size();
    }
    double const seconds = median(times), count = static_cast<double>(tokens);
    state.counters["ns_per_token"] = 1e9 * seconds / count;
    state.counters["tokens_per_second"] = count / seconds;
    seen_by.report(state);
    // The experts' time depends on the input but little: once for each router, shape and T.
    auto const experts = in_memory().get<double>(
        joined({"experts/", policy, "/", size.name, ending(tokens, 1)}), 0, [&] {
            return std::make_shared<double>(layer_seconds(size, feed->all[0].in().rows, first));
        });
    state.counters["share_of_layer"] = seconds / (seconds + *experts);
}

/// Adds a router on every shape that it takes; `make(size)` gives its run-time numbers.
template <auto Router, class Make>
void add_router(std::string const& policy, Make&& make, std::string const& only = "") {
    std::vector<index_t> tokens = chosen().tokens;
    if (tokens.empty()) tokens = {1, 32, 512};
    for (routed_size const& size : routed_sizes()) {
        if (!only.empty() && size.name != only) continue;
        params_of<kind_of<Router>> const own = make(size);
        shape const all{.model = size.model, .hidden = size.hidden, .experts = size.experts};
        try {
            check_router(Router, all, own);
        } catch (error const&) {
            continue;
        }
        index_t const most = Router.slots(all, own);
        if (most < 1 || most > size.experts) continue;
        for (std::string const& kind : kinds_of(size))
            for (index_t const count : tokens)
                benchmark::RegisterBenchmark(
                    joined({"router/", policy, "/", size.name, "/", kind, ending(count, 1)})
                        .c_str(),
                    [=](benchmark::State& state) {
                        run_router<Router>(state, policy, size, kind, count, own);
                    })
                    ->Unit(benchmark::kMicrosecond);
    }
}

} // namespace bench
