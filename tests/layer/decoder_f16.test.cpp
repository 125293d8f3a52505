// SPDX-License-Identifier: MIT
#include "layer/decoder_bundled.hpp"

TEST_CASE("decoder: the bundled model in f16 has the same bits however a prompt comes") {
    auto const got = bundled::invariant<prytany::dense<prytany::f16>{}>();
    CHECK(bundled::worst(got, bundled::expected("prompt_0.logits")) <= 2e-2);
}
