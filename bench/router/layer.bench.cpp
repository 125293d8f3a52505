// SPDX-License-Identifier: MIT
// The time of the experts that a routing sends tokens to, in one layer for all routers.
#include "prytany/exec/sequential.hpp"
#include "prytany/expert/ffn.hpp"
#include "prytany/layer/moe.hpp"
#include "router/router.hpp"

namespace bench {
namespace {

/// Writes the slots that it is given.
struct given {
    struct params {
        choice const* from = nullptr;
    };
    constexpr index_t slots(shape const&, params const& own) const {
        return own.from == nullptr ? dynamic : own.from->most;
    }
    constexpr promises promise() const { return {.sees = scope::batch}; }
    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        for (index_t t = 0; t < in.tokens(); ++t)
            for (slot const s : own.params.from->of[static_cast<std::size_t>(t)])
                out.put(t, s.expert, s.weight, s.tier);
    }
};

/// A layer in f32. One too large for memory has narrower experts: as many reads and products less.
struct filled_layer {
    using kind = moe<shape{}, given{}, ffn{swiglu}>;
    choice now;
    double scale = 1; ///< how much wider the experts should be
    std::unique_ptr<kind> layer;

    static index_t width(routed_size const& size) {
        constexpr double most = 6e9;
        double const one = 12.0 * static_cast<double>(size.experts * size.model); // of hidden 1
        auto const room = static_cast<index_t>(std::min(most, chosen().memory) / one) / 16 * 16;
        return std::min(size.hidden, std::max<index_t>(room, 16));
    }
    static double bytes(routed_size const& size) {
        return 12.0 * static_cast<double>(size.experts * size.model * width(size));
    }
    explicit filled_layer(routed_size const& size)
        : scale(static_cast<double>(size.hidden) / static_cast<double>(width(size))),
          layer(std::make_unique<kind>(
              shape{.model = size.model, .hidden = width(size), .experts = size.experts},
              kind::params{.router = {&now}, .expert = {}})) {
        auto const row = weights(7, 1, std::max(size.model, size.hidden), false);
        layer->for_each_tensor([&](auto const& t) {
            for (index_t r = 0; r < t.rows; ++r)
                t.pack_row(r, std::span(row).first(static_cast<std::size_t>(t.cols)));
        });
        if (scale != 1)
            std::fprintf(stderr, "%s: experts %td of %td wide, times %.1f\n", size.name.c_str(),
                         width(size), size.hidden, scale);
    }
};

} // namespace

double layer_seconds(routed_size const& size, matrix_view<float const> x, choice const& slots) {
    auto const held =
        in_memory().get<filled_layer>("layer/" + size.name, filled_layer::bytes(size),
                                      [&] { return std::make_shared<filled_layer>(size); });
    // Not more products than a second or two takes: of the first tokens alone, then in proportion.
    double run = 0;
    for (auto const& own : slots.of)
        for (slot const s : own) run += s.tier == 0 ? 1 : 0;
    double const operations = 6 * run * static_cast<double>(size.model * size.hidden);
    double const share = std::min(1.0, 1e11 / std::max(operations, 1.0));
    index_t const tokens =
        std::max<index_t>(1, static_cast<index_t>(share * static_cast<double>(x.rows)));
    held->now = slots;
    workspace ws;
    buffer<float> y(tokens * size.model);
    auto const call = [&] {
        held->layer->forward(x.part(0, tokens), matrix_view<float>(y.data(), tokens, size.model),
                             ws, sequential{});
    };
    call();
    std::vector<double> times;
    auto const begin = clock::now();
    do {
        auto const start = clock::now();
        call();
        times.push_back(seconds_since(start));
    } while (seconds_since(begin) < 0.2 && times.size() < 50);
    return median(times) * held->scale * static_cast<double>(x.rows) / static_cast<double>(tokens);
}

} // namespace bench
