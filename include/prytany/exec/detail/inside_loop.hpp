// SPDX-License-Identifier: MIT
// Whether a thread is inside a loop already.
#pragma once

#include <utility>

#include "prytany/core/config.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace detail {

/// Whether this thread runs an item of some executor with threads: a loop that begins there is not
/// shared out again.
inline bool& inside_loop() noexcept {
    thread_local bool inside = false;
    return inside;
}

/// Marks this thread as inside a loop while it lives.
class loop_mark {
public:
    loop_mark() noexcept : before_(std::exchange(inside_loop(), true)) {}
    loop_mark(loop_mark const&) = delete;
    loop_mark& operator=(loop_mark const&) = delete;
    ~loop_mark() { inside_loop() = before_; }

private:
    bool before_;
};

} // namespace detail
} // namespace prytany::inline PRYTANY_ABI
