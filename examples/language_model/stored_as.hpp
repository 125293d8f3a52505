// SPDX-License-Identifier: MIT
// Making a model from a checkpoint, for each type that weights are stored as.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "model.hpp"
#include "progress.hpp"

#include "prytany/core/scalar.hpp"
#include "prytany/family/config.hpp"
#include "prytany/io/checkpoint.hpp"

namespace example {

using namespace prytany;

/// A checkpoint that shows how far reading it has come.
class shown_source {
public:
    shown_source(io::checkpoint const& from, progress& bar) : from_(from), bar_(bar) {}

    std::string where() const { return from_.where(); }
    std::span<io::stored const> tensors() const noexcept { return from_.tensors(); }
    io::stored const* find(std::string_view name) const noexcept { return from_.find(name); }
    void read(io::stored const& tensor, index_t first, std::span<float> to) const {
        from_.read(tensor, first, to);
        bar_.advance(std::ssize(to));
    }
    void read_bytes(io::stored const& tensor, index_t first, std::span<std::byte> to) const {
        from_.read_bytes(tensor, first, to);
    }

private:
    io::checkpoint const& from_;
    progress& bar_;
};

/// What each of the files bf16.cpp, f16.cpp and f32.cpp defines for its type.
template <class Element>
std::unique_ptr<model> make(shown_source const& source, family::config const& from,
                            thread_pool& pool);
template <>
std::unique_ptr<model> make<bf16>(shown_source const&, family::config const&, thread_pool&);
template <>
std::unique_ptr<model> make<f16>(shown_source const&, family::config const&, thread_pool&);
template <>
std::unique_ptr<model> make<float>(shown_source const&, family::config const&, thread_pool&);

} // namespace example
