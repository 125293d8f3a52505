// SPDX-License-Identifier: MIT
// Whether threads share the work when the router does not spread it: a layer in which every token goes
// to expert 0 beside one in which tokens go to all experts alike, on one thread and on two.
//
// Counters: tokens/s; "gain", tokens/s over those of the same layer and tokens on one thread.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "prytany/exec/thread_pool.hpp"
#include "prytany/expert/ffn.hpp"
#include "prytany/layer/moe.hpp"
#include "prytany/router/top_k.hpp"
#include "support/machine.hpp"

namespace {

using namespace bench;

constexpr index_t experts = 16;

/// Expert 0 for every token, or token t mod 16: rows have a one where their expert's router has it.
template <index_t Model, index_t Hidden>
void run(benchmark::State& state, index_t tokens, index_t width, bool one_expert) {
    moe<shape{.model = Model, .hidden = Hidden, .experts = experts}, top_k{.k = 1}, ffn{swiglu}>
        layer;
    std::uint32_t seed = 0;
    std::vector<float> row;
    layer.for_each_tensor([&](auto const& t) {
        noise random(++seed);
        row.resize(static_cast<std::size_t>(t.cols));
        for (index_t r = 0; r < t.rows; ++r) {
            for (auto& value : row) value = t.name.part == "router" ? 0.0f : 0.05f * random();
            if (t.name.part == "router") row[static_cast<std::size_t>(r)] = 1.0f;
            t.pack_row(r, row);
        }
    });
    std::vector<float> x(static_cast<std::size_t>(tokens * Model)), y(x.size());
    noise random(99);
    for (auto& value : x) value = random();
    for (index_t t = 0; t < tokens; ++t)
        for (index_t e = 0; e < experts; ++e)
            x[static_cast<std::size_t>(t * Model + e)] =
                e == (one_expert ? 0 : t % experts) ? 9.0f : 0.0f;

    thread_pool pool(width);
    workspace ws;
    auto const call = [&] {
        layer.forward(matrix_view<float const>(x.data(), tokens, Model),
                      matrix_view<float>(y.data(), tokens, Model), ws, pool);
    };
    call();
    if (static_cast<index_t>(ws.plan().tokens_of(0).size()) !=
        (one_expert ? tokens : (tokens + experts - 1) / experts))
        return state.SkipWithError("the router does not do what it was made for");
    std::vector<double> seconds;
    for (auto _ : state) {
        auto const start = clock::now();
        call();
        seconds.push_back(seconds_since(start));
    }
    double const rate = static_cast<double>(tokens) / median(seconds);
    static std::map<std::pair<index_t, bool>, double> alone; // by tokens and kind, one thread
    auto const key = std::pair{tokens * Model, one_expert};
    if (width == 1) alone[key] = rate;
    state.counters["tokens/s"] = rate;
    if (alone.contains(key)) state.counters["gain"] = rate / alone[key];
}

template <index_t Model, index_t Hidden>
void add() {
    for (index_t const tokens : {16, 64, 256})
        for (bool const one_expert : {false, true})
            for (index_t const width : {1, 2})
                benchmark::RegisterBenchmark(
                    ("balance/" + std::to_string(Model) + "x" + std::to_string(Hidden) +
                     (one_expert ? "/one_expert/" : "/all_alike/") + std::to_string(tokens) + "/" +
                     std::to_string(width))
                        .c_str(),
                    [=](benchmark::State& state) {
                        run<Model, Hidden>(state, tokens, width, one_expert);
                    })
                    ->MinTime(0.3)
                    ->UseRealTime()
                    ->Unit(benchmark::kMicrosecond);
}

int const registered = [] {
    add<1024, 768>();
    add<128, 64>();
    return 0;
}();

} // namespace
