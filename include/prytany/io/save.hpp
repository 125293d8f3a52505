// SPDX-License-Identifier: MIT
// Writes a layer as a checkpoint keeps it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "prytany/core/error.hpp"
#include "prytany/format/tensor.hpp"
#include "prytany/io/bind.hpp"
#include "prytany/io/concept.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace io {

/// The source without tensors: names that look at one choose a tensor for each matrix, in floats.
///
/// Models    tensor_source
struct no_tensors {
    stored const* find(std::string_view) const noexcept { return nullptr; }
    std::span<stored const> tensors() const noexcept { return {}; }
    void read(stored const&, index_t, std::span<float>) const { absent(); }
    void read_bytes(stored const&, index_t, std::span<std::byte>) const { absent(); }
    std::string where() const { return "no_tensors"; }

private:
    [[noreturn]] static void absent() { throw error("no_tensors", "not to be read", "a read"); }
};

/// Writes matrices to the places that files keep them in: `add` every one, then `write` every one
/// in the same order, then the sink's commit().
///
/// A block of a stacked tensor is held in memory until all of its rows are there.
/// Throws    error: matrices of one file tensor that overlap, leave a gap, or do not go together;
///           a place in a 4-bit tensor; what the sink throws
/// Test      tests/io/save.test.cpp
template <tensor_sink Sink>
class saver {
public:
    explicit saver(Sink& sink) : sink_(sink) {}

    /// Says that a matrix will be written, as numbers of this type.
    template <class Store>
    void add(tensor<Store> const& from, place const& at, element type) {
        if (!at.scales.empty())
            throw error(at.name, "a tensor of floats", "one with scales in " + at.scales);
        target& to = targets_[at.name];
        bool const one_output = from.name == tensor_name{"shared", "weight"}; // [1, model] in files
        form const mine{type,          from.vector,         one_output,
                        at.transposed, at.block != dynamic, from.cols};
        if (to.wanted == 0) to.as = mine;
        else if (to.as != mine)
            throw error(at.name, "matrices of one width, one kind and one number type", "others");
        to.rows = std::max(to.rows, at.first + (from.rows - 1) * at.step + 1);
        to.blocks = std::max(to.blocks, at.block == dynamic ? 1 : at.block + 1);
        to.wanted += from.rows;
    }
    /// Writes it; rows that wait for others of their block are kept.
    template <class Store>
    void write(tensor<Store> const& from, place const& at) {
        if (!declared_) declare();
        auto const found = targets_.find(at.name);
        index_t const last = at.first + (from.rows - 1) * at.step;
        if (found == targets_.end() || last >= found->second.rows ||
            from.cols != found->second.as.cols)
            throw error(at.name, "a matrix that was added", from.name.text());
        target& to = found->second;
        block& part = to.waiting[at.block == dynamic ? 0 : at.block];
        part.numbers.resize(static_cast<std::size_t>(to.rows * to.as.cols));
        part.there.resize(static_cast<std::size_t>(to.rows));
        std::vector<float> values(static_cast<std::size_t>(from.rows * from.cols));
        from.unpack({values.data(), from.rows, from.cols});
        for (index_t r = 0; r < from.rows; ++r) {
            index_t const row = at.first + r * at.step;
            if (std::exchange(part.there[static_cast<std::size_t>(row)], char{1}))
                throw error(at.name, "each row once", "row " + std::to_string(row) + " twice");
            for (index_t c = 0; c < to.as.cols; ++c)
                part.numbers[static_cast<std::size_t>(to.as.transposed ? c * to.rows + row
                                                                       : row * to.as.cols + c)] =
                    values[static_cast<std::size_t>(r * to.as.cols + c)];
        }
        part.rows += from.rows;
        while (!to.waiting.empty() && to.waiting.begin()->first == to.written &&
               to.waiting.begin()->second.rows == to.rows) {
            sink_.write(at.name, std::span<float const>(to.waiting.begin()->second.numbers));
            to.waiting.erase(to.waiting.begin());
            ++to.written;
        }
    }

private:
    struct block {
        std::vector<float> numbers{};
        std::vector<char> there{};
        index_t rows = 0;
    };
    struct form {
        element type = element::f32;
        bool vector = false, one_output = false, transposed = false, stacked = false;
        index_t cols = 0;

        friend bool operator==(form const&, form const&) = default;
    };
    struct target {
        form as{};
        index_t rows = 0, blocks = 0, wanted = 0, written = 0;
        std::map<index_t, block> waiting{};
    };
    Sink& sink_;
    std::map<std::string, target, std::less<>> targets_;
    bool declared_ = false;

    void declare() {
        for (auto const& [name, to] : targets_) {
            if (to.wanted != to.rows * to.blocks)
                throw error(
                    name, std::to_string(to.blocks) + " times " + std::to_string(to.rows) + " rows",
                    std::to_string(to.wanted));
            std::vector<index_t> dims;
            if (to.as.stacked) dims.push_back(to.blocks);
            if (to.as.one_output) dims.push_back(1);
            if (to.as.transposed) dims.push_back(to.as.cols);
            dims.push_back(to.rows);
            if (!to.as.vector && !to.as.transposed) dims.push_back(to.as.cols);
            sink_.declare(name, to.as.type, dims);
        }
        declared_ = true;
    }
};

/// Writes every matrix of a layer to the place that `names` tells, and commits: what `load` reads.
///
///     io::safetensors_writer out{"layer.safetensors"};
///     io::save(layer, out, io::qwen_moe("model.layers.3.mlp."), io::element::bf16);
///     io::save(layer, out, names, io::element::bf16, file);        // stacked where `file` is
///
/// Numbers are rounded to `type`; a router's correction stays in float32, as published files have
/// it: rounded, it would choose other experts. `like` decides between the layouts of the names.
/// Throws    error: what `saver` and the sink throw
/// Test      tests/io/save.test.cpp
template <class Layer, tensor_sink Sink, class Names, tensor_source Source = no_tensors>
void save(Layer const& layer, Sink& sink, Names const& names, element type,
          Source const& like = {}) {
    saver<Sink> writer(sink);
    layer.for_each_tensor([&](auto const& t) {
        writer.add(t, names(like, t.name, t.rows),
                   t.name.role == "correction" ? element::f32 : type);
    });
    layer.for_each_tensor([&](auto const& t) { writer.write(t, names(like, t.name, t.rows)); });
    sink.commit();
}

} // namespace io
} // namespace prytany::inline PRYTANY_ABI
