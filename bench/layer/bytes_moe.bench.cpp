// SPDX-License-Identifier: MIT
#include "layer/ours.hpp"

namespace {
int const added = bench::add_later(bench::add_ours<bench::sizes::bytes_moe>);
} // namespace
