// SPDX-License-Identifier: MIT
// The batches that all contenders get, and ours with sizes read at run time.
#include "layer/ours.hpp"

namespace bench {

// Random tokens, a random router, our own top_k: the routing is near uniform. A layer whose experts
// are as narrow as a register does the routing, ours and every peer see the same.
batches::batches(layer_size const& size, index_t tokens) : x(count * tokens * size.model), busy(0) {
    layer_size const narrow{size.experts, size.k, size.model, lanes};
    ours<dense<float>{}> router(narrow, expert_numbers(narrow, false));
    thread_pool pool;
    noise random(99);
    for (index_t i = 0; i < x.size(); ++i) x[i] = random();
    buffer<float> y(tokens * size.model);
    for (index_t b = 0; b < count; ++b) {
        batch one{{x.data() + b * tokens * size.model, tokens, size.model}, {}, {}, 0};
        router.forward(one, {y.data(), tokens, size.model}, pool);
        auto const& plan = router.ws.plan();
        for (index_t t = 0; t < tokens; ++t)
            for (slot const& s : plan.slots_of(t)) {
                one.experts.push_back(s.expert);
                one.weights.push_back(s.weight);
            }
        for (index_t e = 0; e < size.experts; ++e) one.busy += plan.tokens_of(e).empty() ? 0 : 1;
        busy += static_cast<double>(one.busy) / count;
        all.push_back(std::move(one));
    }
}

namespace {

int const added = add_later([] {
    for (layer_size const& size : sizes::all) {
        add_layer<ours<dense<float>{}>>(size, {"ours_dynamic", "f32"});
        add_layer<ours<dense<bf16>{}>>(size, {"ours_dynamic", "bf16", bound::fma, 2});
    }
});

} // namespace
} // namespace bench
