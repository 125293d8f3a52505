// SPDX-License-Identifier: MIT
// The model with its weights in bfloat16.
#include "model_of.hpp"

namespace example {

template <>
std::unique_ptr<model> make<bf16>(shown_source const& source, family::config const& from,
                                  thread_pool& pool) {
    return std::make_unique<model_of<dense<bf16>{}>>(source, from, pool);
}

} // namespace example
