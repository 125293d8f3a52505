// SPDX-License-Identifier: MIT
// The memory of one call.
#pragma once

#include <cstddef>

#include "prytany/core/arena.hpp"
#include "prytany/core/buffer.hpp"
#include "prytany/core/plan.hpp"

namespace prytany::inline PRYTANY_ABI {

/// All mutable state of a call; keep one for each thread that calls, and use it again.
///
/// After `reserve(layer, tokens, pool)` a call with at most so many tokens allocates nothing.
/// Throws    std::bad_alloc
/// Test      tests/core/workspace.test.cpp
class workspace {
public:
    template <class Layer, class Executor>
    void reserve(Layer const& layer, index_t tokens, Executor const& pool) {
        arena count;
        typename Layer::scratch scratch{};
        layer.lay_out(scratch, count, tokens, pool.width());
        if (count.used() <= memory_.size()) return;
        plan_ = {}; // it lies in the old memory
        memory_ = buffer<std::byte>(count.used());
    }
    /// The reserved memory from its start; pieces taken before become invalid.
    arena open() noexcept { return arena(memory_.data()); }
    index_t bytes() const noexcept { return memory_.size(); }
    /// The decisions of the last call.
    prytany::plan const& plan() const noexcept { return plan_; }
    void keep(prytany::plan const& decided) noexcept { plan_ = decided; }

private:
    buffer<std::byte> memory_;
    prytany::plan plan_;
};

} // namespace prytany::inline PRYTANY_ABI
