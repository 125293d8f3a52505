// SPDX-License-Identifier: MIT
// The executor without threads.
#pragma once

#include "prytany/exec/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Runs every item on the calling thread, in order; no lock, no allocation, no system call.
///
/// Models    executor
/// Test      tests/exec/sequential.test.cpp
struct sequential {
    index_t width() const noexcept { return 1; }
    template <class F>
    void for_each(index_t count, F&& f) const {
        for (index_t i = 0; i < count; ++i) f(i, index_t{0});
    }
};

} // namespace prytany::inline PRYTANY_ABI
