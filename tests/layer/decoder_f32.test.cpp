// SPDX-License-Identifier: MIT
#include "layer/decoder_bundled.hpp"

TEST_CASE("decoder: the bundled model in f32 has the same bits however a prompt comes") {
    auto const got = bundled::invariant<prytany::dense<float>{}>();
    CHECK(bundled::worst(got, bundled::expected("prompt_0.logits")) <= 2e-4);
}
