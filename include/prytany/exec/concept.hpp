// SPDX-License-Identifier: MIT
// Who runs a loop.
#pragma once

#include <concepts>

#include "prytany/core/config.hpp"
#include "prytany/core/text.hpp"

namespace prytany::inline PRYTANY_ABI {

template <class X>
concept has_width = requires(X const& pool) {
    { pool.width() } -> std::same_as<index_t>;
} || unsatisfied<"an executor needs width(): how many items it may run at the same time">();

template <class X>
concept has_for_each = requires(X& pool, void (*item)(index_t, index_t)) {
    pool.for_each(index_t{}, item);
} || unsatisfied<"an executor needs for_each(count, f): run f(item, worker) for every item">();

/// Runs f(item, worker) once for every item in [0, count), worker in [0, width()), and returns when
/// all are done; no two items run at the same time under one worker number. An exception in f
/// reaches the caller. Which worker runs which item is left open: no result may depend on it.
///
/// Models    sequential, thread_pool; in headers of their own openmp, tbb_arena
/// Test      tests/exec/concept.test.cpp
template <class X>
concept executor = has_width<X> && has_for_each<X>;

} // namespace prytany::inline PRYTANY_ABI
