// SPDX-License-Identifier: MIT
// Tensors into a safetensors file.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "prytany/core/error.hpp"
#include "prytany/io/checked.hpp"
#include "prytany/io/concept.hpp"
#include "prytany/io/limits.hpp"
#include "prytany/io/new_file.hpp"
#include "prytany/io/text.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace io {

/// Writes a safetensors file, byte for byte as the reference writer does: tensors by falling
/// alignment of their type, then by name; the header padded with spaces to 8 bytes.
///
///     io::safetensors_writer out{"model.safetensors", {{"format", "pt"}}};
///     out.declare("gate.weight", io::element::bf16, {64, 2048});
///     out.write("gate.weight", floats);                       // once or in pieces
///     out.commit();
///
/// Models    tensor_sink
/// Throws    error: what `new_file` throws; a name twice, none, too long or not UTF-8; a size that
///           does not fit; a tensor written beyond its end, or at commit() not to its end
/// Test      tests/io/safetensors_writer.test.cpp
template <class System = writing_calls>
class basic_safetensors_writer {
public:
    explicit basic_safetensors_writer(std::string path, string_map metadata = {}, System calls = {})
        : file_(std::move(path), std::move(calls)), metadata_(std::move(metadata)) {
        for (auto const& [key, text] : metadata_)
            if (utf8_end(key) < std::ssize(key) || utf8_end(text) < std::ssize(text))
                throw error{file_.path() + ": __metadata__ " + printable(key), "UTF-8",
                            "other bytes"};
    }

    void declare(std::string const& name, element type, std::vector<index_t> const& dims) {
        if (laid_out_) throw error{subject(name), "to be declared before the first write", "later"};
        if (name == "__metadata__" || std::ssize(name) > limits{}.name_bytes ||
            utf8_end(name) < std::ssize(name))
            throw error{subject(name), "a name in UTF-8 of at most 4096 bytes, not __metadata__",
                        std::to_string(name.size()) + " bytes"};
        stored tensor{name, type, dims};
        auto const count = count_of(dims);
        auto const bits = count ? product(*count, bits_of(type)) : std::nullopt;
        if (!bits || *bits % 8 != 0)
            throw error{subject(name), "sizes from 0 on, and whole bytes below 2^60",
                        tensor.text()};
        tensor.bytes = *bits / 8;
        if (!tensors_.emplace(name, entry{std::move(tensor)}).second)
            throw error{subject(name), "to be declared once", "a second time"};
    }
    /// The next elements of a tensor of type F64, F32, F16 or BF16, rounded to nearest even.
    void write(std::string_view name, std::span<float const> floats) {
        element const type = at(name).tensor.type;
        auto const size = std::max<std::size_t>(static_cast<std::size_t>(bits_of(type)) / 8, 1);
        std::array<std::byte, 1 << 14> piece;
        while (!floats.empty()) {
            std::size_t const count = std::min(floats.size(), piece.size() / size);
            std::span const raw(piece.data(), count * size);
            try {
                from_floats(type, floats.first(count), raw);
            } catch (error const& e) {
                throw error{subject(name), e.expected(), e.got()};
            }
            write_bytes(name, raw);
            floats = floats.subspan(count);
        }
    }
    /// The next bytes of a tensor, as they shall be stored.
    void write_bytes(std::string_view name, std::span<std::byte const> bytes) {
        entry& to = at(name);
        if (!laid_out_) lay_out();
        if (std::ssize(bytes) > to.tensor.bytes - to.written)
            throw error{subject(name), std::to_string(to.tensor.bytes) + " bytes",
                        std::to_string(to.written) + " and " + std::to_string(bytes.size()) +
                            " more"};
        file_.write(to.tensor.offset + to.written, bytes);
        to.written += std::ssize(bytes);
    }
    void commit() {
        if (!laid_out_) lay_out();
        for (auto const& [name, e] : tensors_)
            if (e.written != e.tensor.bytes)
                throw error{subject(name), std::to_string(e.tensor.bytes) + " bytes",
                            std::to_string(e.written)};
        file_.commit();
    }

private:
    struct entry {
        stored tensor;
        index_t written = 0;
    };
    basic_new_file<System> file_;
    string_map metadata_;
    std::map<std::string, entry, std::less<>> tensors_;
    bool laid_out_ = false;

    std::string subject(std::string_view name) const {
        return file_.path() + ": tensor " + printable(name);
    }
    entry& at(std::string_view name) {
        auto const found = tensors_.find(name);
        if (found == tensors_.end()) throw error{subject(name), "a declared tensor", "none"};
        return found->second;
    }
    void lay_out() {
        std::vector<stored*> order;
        for (auto& [name, e] : tensors_) order.push_back(&e.tensor);
        std::stable_sort(order.begin(), order.end(),
                         [](stored* a, stored* b) { return a->type > b->type; });
        auto const string = [](std::string const& text) { return nlohmann::json(text).dump(); };
        std::string json;
        auto const member = [&](std::string const& name, std::string const& value) {
            json += (json.empty() ? "{" : ",") + string(name) + ":" + value;
        };
        if (!metadata_.empty()) member("__metadata__", nlohmann::json(metadata_).dump());
        index_t end = 0;
        for (stored* t : order) {
            t->offset = end;
            auto const next = sum(end, t->bytes);
            if (!next || *next > index_t{1} << 62)
                throw error{file_.path(), "tensors that fit a file", "more"};
            end = *next;
            member(t->name, "{\"dtype\":\"" + std::string(name_of(t->type)) + "\",\"shape\":" +
                                nlohmann::json(t->dims).dump() + ",\"data_offsets\":[" +
                                std::to_string(t->offset) + "," + std::to_string(end) + "]}");
        }
        json += json.empty() ? "{}" : "}";
        json.resize((json.size() + 7) / 8 * 8, ' ');
        if (std::ssize(json) > limits{}.header_bytes || std::ssize(order) > limits{}.tensors)
            throw error{file_.path(), "a header within the limits of the format", "a longer one"};
        auto const length = static_cast<std::uint64_t>(json.size());
        for (stored* t : order) t->offset += 8 + std::ssize(json);
        file_.write(0, std::as_bytes(std::span(&length, 1)));
        file_.write(8, std::as_bytes(std::span(json)));
        laid_out_ = true;
    }
};
using safetensors_writer = basic_safetensors_writer<>;

} // namespace io
} // namespace prytany::inline PRYTANY_ABI
