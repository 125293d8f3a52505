// SPDX-License-Identifier: MIT
#include "layer/decoder_bundled.hpp"

TEST_CASE("decoder: the bundled model in bf16, as its file has it") {
    auto const got = bundled::invariant<prytany::dense<prytany::bf16>{}>();
    CHECK(bundled::worst(got, bundled::expected("prompt_0.logits")) <= 2e-4);
}
