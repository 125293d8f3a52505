// SPDX-License-Identifier: MIT
// Sizes of other models, read at run time: one instance of the layer for all of them.
#include "layer/ours.hpp"

namespace {

int const added = bench::add_later([] {
    using namespace bench;
    for (auto const& size : {sizes::mixtral_8x7b, sizes::olmoe, sizes::granite_1b}) add_ours(size);
});

} // namespace
