// SPDX-License-Identifier: MIT
// Fills a layer from a checkpoint, and accounts for every tensor.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "prytany/core/error.hpp"
#include "prytany/format/tensor.hpp"
#include "prytany/io/bind.hpp"
#include "prytany/io/concept.hpp"
#include "prytany/io/mxfp4.hpp"
#include "prytany/io/text.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace io {

/// Reads matrices from a source and keeps account of what was read: `finish` throws unless every
/// wanted tensor was there with the right sizes, and every row of every tensor under a prefix was
/// read exactly once.
///
/// A square matrix that a file keeps turned cannot be told from one that it does not: it is read as
/// its place says.
/// Throws    error, naming what is missing, what has other sizes and what is left over
/// Test      tests/io/load.test.cpp
template <tensor_source Source>
class loader {
public:
    explicit loader(Source const& source) : source_(source) {}

    /// Reads one logical matrix; a fault is remembered for `finish`.
    template <class Store>
    void take(tensor<Store> const& to, place const& at) {
        stored const* const from = source_.find(at.name);
        if (from == nullptr) return missing(at.name, to);
        if (!at.scales.empty()) return take_mxfp4(to, at, *from);
        index_t const lead = at.block == dynamic ? 0 : 1;
        auto const dims = static_cast<index_t>(from->dims.size());
        auto const dim = [&](index_t i) { return from->dims[static_cast<std::size_t>(i)]; };
        index_t rows = 0, cols = 1;
        if (to.vector) { // [rows], or [1, rows] as some files have it
            bool const flat = dims == lead + 1 || (lead == 0 && dims == 2 && dim(0) == 1);
            rows = flat ? dim(dims - 1) : 0;
        } else if (dims == lead + 2) {
            rows = dim(dims - 2);
            cols = dim(dims - 1);
            if (at.transposed) std::swap(rows, cols);
        }
        if (cols != to.cols || !fits(to.rows, at, rows) || (lead == 1 && dim(0) <= at.block))
            return wrong(*from, sizes(to) + (at.transposed ? " transposed" : "") +
                                    (lead == 0 ? "" : " in block " + std::to_string(at.block)));
        index_t const base = lead == 1 ? at.block * rows * cols : 0;
        if (at.transposed) take_transposed(to, at, *from, base, rows);
        else take_rows(to, at, *from, base);
        count(*from, to.cols, (lead == 1 ? at.block * rows : 0) + at.first, at.step, to.rows);
    }
    /// Reads a matrix that another one shares: it is not counted again.
    template <class Store>
    void share(tensor<Store> const& to, place const& at) {
        auto const before = used_;
        take(to, at);
        used_ = before;
    }
    /// Throws what went wrong; `prefix` says which tensors of the source had to be read.
    void finish(std::string_view prefix) const {
        std::vector<std::string> faults = faults_;
        for (stored const& s : source_.tensors()) {
            if (!std::string_view(s.name).starts_with(prefix)) continue;
            auto const it = used_.find(s.name);
            if (it == used_.end()) {
                if (!seen_.contains(s.name))
                    faults.push_back("left over " + printable(s.name) + " " + s.text());
                continue;
            }
            auto const& times = it->second; // of each row
            auto const twice = std::find(times.begin(), times.end(), 2);
            index_t const unread = std::count(times.begin(), times.end(), 0),
                          all = std::ssize(times);
            if (twice != times.end())
                faults.push_back(s.name + ": expected to read each row once, read row " +
                                 std::to_string(twice - times.begin()) + " twice");
            else if (unread > 0)
                faults.push_back(s.name + ": expected to read " + std::to_string(s.count()) +
                                 " elements, read " +
                                 std::to_string(s.count() / all * (all - unread)));
        }
        if (faults.empty()) return;
        constexpr std::size_t most = 8;
        std::string all = source_.where() + ": ";
        for (std::size_t i = 0; i < std::min(most, faults.size()); ++i)
            all += (i ? "; " : "") + faults[i];
        if (faults.size() > most) all += "; and " + std::to_string(faults.size() - most) + " more";
        throw error(all);
    }

private:
    Source const& source_;
    std::map<std::string, std::vector<char>, std::less<>> used_; // how often each row was read
    std::set<std::string, std::less<>> seen_;                    // their faults are told already
    std::vector<std::string> faults_;

    static bool fits(index_t wanted, place const& at, index_t rows) noexcept {
        // a part of interleaved or stacked rows leaves the others to somebody else
        index_t const last = at.first + (wanted - 1) * at.step;
        if (at.step > 1) return rows == wanted * at.step;
        return at.block == dynamic ? rows == wanted : last < rows && rows % wanted == 0;
    }
    void count(stored const& from, index_t cols, index_t first, index_t step, index_t rows) {
        auto& times = used_[from.name];
        times.resize(static_cast<std::size_t>(from.count() / cols));
        for (index_t r = 0; r < rows; ++r) {
            char& of_row = times[static_cast<std::size_t>(first + r * step)];
            of_row = static_cast<char>(std::min(of_row + 1, 2));
        }
    }
    template <class Store>
    static std::string sizes(tensor<Store> const& t) {
        return t.vector ? "[" + std::to_string(t.rows) + "]" : dims_text(t.rows, t.cols);
    }
    template <class Store>
    void missing(std::string const& name, tensor<Store> const& to) {
        if (!seen_.insert(name).second) return;
        faults_.push_back("missing " + name + " for " + to.name.text() + " " + sizes(to));
    }
    void wrong(stored const& from, std::string const& expected) {
        if (!seen_.insert(from.name).second) return;
        faults_.push_back(from.name + ": expected " + expected + ", got " + from.text());
    }
    template <class Store>
    void take_rows(tensor<Store> const& to, place const& at, stored const& from, index_t base) {
        constexpr index_t at_once = index_t{1} << 18; // floats of one read
        index_t const group = at.step > 1 ? 1 : std::clamp<index_t>(at_once / to.cols, 1, to.rows);
        std::vector<float> some(static_cast<std::size_t>(group * to.cols));
        for (index_t r = 0; r < to.rows; r += group) {
            index_t const rows = std::min(group, to.rows - r);
            std::span<float> const part(some.data(), static_cast<std::size_t>(rows * to.cols));
            source_.read(from, base + (at.first + r * at.step) * to.cols, part);
            for (index_t i = 0; i < rows; ++i)
                to.pack_row(r + i, part.subspan(static_cast<std::size_t>(i * to.cols),
                                                static_cast<std::size_t>(to.cols)));
        }
    }
    template <class Store>
    void take_transposed(tensor<Store> const& to, place const& at, stored const& from, index_t base,
                         index_t file_rows) {
        std::vector<float> block(static_cast<std::size_t>(file_rows * to.cols));
        source_.read(from, base, block);
        std::vector<float> row(static_cast<std::size_t>(to.cols));
        for (index_t r = 0; r < to.rows; ++r) {
            for (index_t c = 0; c < to.cols; ++c)
                row[static_cast<std::size_t>(c)] =
                    block[static_cast<std::size_t>(c * file_rows + at.first + r * at.step)];
            to.pack_row(r, row);
        }
    }
    template <class Store>
    void take_mxfp4(tensor<Store> const& to, place const& at, stored const& codes) {
        stored const* const scales = source_.find(at.scales);
        if (scales == nullptr) return missing(at.scales, to);
        index_t const rows = to.rows * at.step, blocks = to.cols / 32;
        auto const is = [&](stored const& s, std::vector<index_t> const& tail) {
            return s.type == element::u8 && s.dims.size() == tail.size() + 1 &&
                   s.dims[0] > at.block && std::equal(tail.begin(), tail.end(), s.dims.begin() + 1);
        };
        bool const whole = to.cols % 32 == 0 && is(codes, {rows, blocks, 16});
        if (!whole || !is(*scales, {rows, blocks})) {
            std::string const own = "U8 [experts, " + dims_text(rows, blocks).substr(1);
            if (whole) wrong(*scales, own);
            else wrong(codes, own.substr(0, own.size() - 1) + ", 16], 32 inputs a block");
            seen_.insert({at.name, at.scales});
            return;
        }
        std::vector<std::byte> code_row(static_cast<std::size_t>(blocks * 16));
        std::vector<std::byte> scale_row(static_cast<std::size_t>(blocks));
        std::vector<float> row(static_cast<std::size_t>(to.cols));
        for (index_t r = 0; r < to.rows; ++r) {
            index_t const file_row = at.block * rows + at.first + r * at.step;
            source_.read_bytes(codes, file_row * blocks * 16, code_row);
            source_.read_bytes(*scales, file_row * blocks, scale_row);
            widen_mxfp4(code_row, scale_row, row);
            to.pack_row(r, row);
        }
        count(codes, blocks * 16, at.block * rows + at.first, at.step, to.rows);
        count(*scales, blocks, at.block * rows + at.first, at.step, to.rows);
    }
};

/// Fills every matrix of a layer from the places that `names` tells.
///
///     io::load(layer, io::safetensors{"model.safetensors"}, io::qwen_moe("model.layers.0.mlp."))
///
/// Throws    error: tensors missing, of other sizes, or left over under the names' prefix
/// Test      tests/io/load.test.cpp
template <class Layer, tensor_source Source, class Names>
void load(Layer& layer, Source const& source, Names const& names) {
    loader<Source> reader(source);
    layer.for_each_tensor([&](auto const& t) { reader.take(t, names(source, t.name, t.rows)); });
    reader.finish(names.prefix);
}

} // namespace io
} // namespace prytany::inline PRYTANY_ABI
