// SPDX-License-Identifier: MIT
// One interface to a byte language model, whatever its weights are stored as.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "prytany/core/matrix_view.hpp"
#include "prytany/core/plan.hpp"
#include "prytany/exec/thread_pool.hpp"

namespace example {

using prytany::index_t;

/// The parts of a pass that the model tells apart: embed, attention, norm, experts, head.
inline constexpr std::size_t parts = 5;
inline constexpr std::array<char const*, parts> part_names{"embed", "attention", "norm", "experts",
                                                           "head"};

/// What a reader wants to know of a model; bytes are those of its packed weights.
struct description {
    std::string folder, name, weight_type;
    bool fixed_sizes = false; ///< runs a form compiled for exactly its sizes
    index_t layers = 0, model = 0, heads = 0, kv_heads = 0, head = 0, positions = 0;
    index_t experts = 0, kept = 0, hidden = 0, shared_hidden = 0;
    index_t parameters = 0, used_parameters = 0; ///< all of them; those that one byte activates
    index_t bytes = 0, used_bytes = 0;
    std::array<index_t, parts> used_bytes_of{};
};

/// Hears what happens during a pass.
struct listener {
    virtual ~listener() = default;
    virtual void routed(index_t /*layer*/, prytany::plan const& /*of the bytes fed*/) {}
    virtual void passed(std::size_t /*part*/) {}
};

/// A model and one sequence.
class model {
public:
    virtual ~model() = default;
    virtual description const& about() const noexcept = 0;
    /// Takes the memory for passes of up to so many bytes at once.
    virtual void reserve(index_t bytes) = 0;
    /// Begins a new sequence.
    virtual void restart() noexcept = 0;
    /// Appends bytes and writes the logits [rows, 256] of the last `rows` of them.
    virtual void feed(std::span<std::int32_t const> bytes, prytany::matrix_view<float> logits,
                      listener& watch) = 0;
};

/// Loads the folder of a Qwen2-MoE checkpoint whose tokens are the 256 bytes, with the weights in
/// the type that they are stored in.
///
/// Throws    prytany::error: a folder without a model, another family, a vocabulary of words
std::unique_ptr<model> load(std::string const& folder, prytany::thread_pool& pool);

} // namespace example
