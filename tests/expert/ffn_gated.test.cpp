// SPDX-License-Identifier: MIT
#include "expert/ffn_held.hpp"

using namespace prytany;
using numbers::follows_everywhere;

TEST_CASE("ffn: gated activations, with and without biases, in every dense format") {
    follows_everywhere<swiglu>(twin::gated(twin::silu));
    follows_everywhere<geglu>(twin::gated(twin::gelu));
    follows_everywhere<geglu_tanh>(twin::gated(twin::gelu_tanh));
    follows_everywhere<reglu>(twin::gated(twin::relu));
    follows_everywhere<swiglu_clamped>(
        [](double g, double u) { return twin::swiglu_clamped(g, u, 1.702f, 7); });
}
