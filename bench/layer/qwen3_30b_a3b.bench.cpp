// SPDX-License-Identifier: MIT
#include "layer/ours.hpp"

namespace {
int const added = bench::add_later(bench::add_ours<bench::sizes::qwen3_30b_a3b>);
} // namespace
