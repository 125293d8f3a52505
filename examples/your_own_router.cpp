// SPDX-License-Identifier: MIT
// A router of your own in a layer: the best expert, and a second where it comes close.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>
#include <vector>

#include <prytany/prytany.hpp>

using namespace prytany;

struct close_second { // no base class, nothing to register
    struct params {
        float margin = 0.5f; ///< how far the second logit may be behind
    };
    constexpr linear scorer() const { return {}; }
    constexpr index_t slots(shape const&, params const&) const { return 2; }
    constexpr promises promise() const { return {}; }
    template <auto My>
    static void select(seen const& in, kit<My> own, plan& out) noexcept {
        for (index_t t = 0; t < in.tokens(); ++t) {
            float const* const logit = in.logits.row(t);
            std::uint64_t best[2] = {}; // of keys: every float has its place in their order
            for (index_t e = 0; e < in.logits.cols; ++e) {
                std::uint64_t const key = kernel::rank_key(logit[e], e);
                if (key > best[0]) best[1] = std::exchange(best[0], key);
                else best[1] = std::max(best[1], key);
            }
            index_t const first = kernel::index_of(best[0]), second = kernel::index_of(best[1]);
            if (logit[first] == -INFINITY) continue; // all are shut: no slot
            bool const close = logit[first] - logit[second] < own.params.margin;
            out.put(t, first, close ? 0.5f : 1.0f);
            if (close) out.put(t, second, 0.5f);
        }
    }
};

int main() {
    // It takes the place of any other router, also in wrappers.
    moe<shape{.model = 4, .hidden = 8, .experts = 4},
        scored{linear{.biases = true}, close_second{}}, ffn{gelu}>
        layer;
    layer.for_each_tensor([](auto const& t) { // each expert looks at one number of the token
        for (index_t r = 0; r < t.rows; ++r) {
            std::vector<float> row(static_cast<std::size_t>(t.cols));
            if (!t.vector) row[static_cast<std::size_t>(r % t.cols)] = 1;
            t.pack_row(r, row);
        }
    });
    float const x[][4] = {{3, 0, 1, 0}, {2, 0, 0, 1.75f}, {0, 1, 1, 1}};
    float y[3][4];
    workspace ws;
    layer.forward(matrix_view<float const>(x[0], 3, 4), matrix_view<float>(y[0], 3, 4), ws,
                  sequential{});
    for (index_t t = 0; t < 3; ++t)
        for (slot const s : ws.plan().slots_of(t))
            std::printf("token %td  expert %d  weight %.1f\n", t, s.expert,
                        static_cast<double>(s.weight));
}
