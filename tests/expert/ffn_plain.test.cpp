// SPDX-License-Identifier: MIT
#include "expert/ffn_held.hpp"

using namespace prytany;
using numbers::follows_everywhere;

TEST_CASE("ffn: plain activations, with and without biases, in every dense format") {
    follows_everywhere<silu>(twin::plain(twin::silu));
    follows_everywhere<gelu>(twin::plain(twin::gelu));
    follows_everywhere<gelu_tanh>(twin::plain(twin::gelu_tanh));
    follows_everywhere<relu>(twin::plain(twin::relu));
    follows_everywhere<relu_squared>(twin::plain(twin::relu_squared));
}
