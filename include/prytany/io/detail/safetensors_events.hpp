// SPDX-License-Identifier: MIT
// The list of tensors out of the JSON of a safetensors file.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "prytany/core/error.hpp"
#include "prytany/io/checked.hpp"
#include "prytany/io/concept.hpp"
#include "prytany/io/limits.hpp"
#include "prytany/io/text.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace io {
namespace detail {

/// Builds the list of tensors from the events of the JSON.
class safetensors_events {
public:
    safetensors_events(std::vector<stored>& tensors, string_map& metadata, index_t data,
                       std::string const& where, limits const& most)
        : tensors_(tensors), metadata_(metadata), data_(data), where_(where), most_(most) {}

    void open_object() {
        if (skipped_ > 0 || state_ == in::unknown) return void(++skipped_);
        if (state_ == in::start) return void(state_ = in::top);
        if (state_ == in::name) return begin_tensor();
        if (state_ == in::metadata_name) return void(state_ = in::metadata);
        wrong("an object");
    }
    void open_array() {
        if (skipped_ > 0 || state_ == in::unknown) return void(++skipped_);
        if (state_ == in::shape) return void(state_ = in::shape_list);
        if (state_ == in::offsets) return void(state_ = in::offsets_list);
        wrong("an array");
    }
    void close() {
        if (skipped_ > 0) {
            if (--skipped_ == 0) state_ = in::tensor;
        } else if (state_ == in::shape_list || state_ == in::offsets_list) {
            state_ = in::tensor;
        } else if (state_ == in::tensor) {
            end_tensor();
            state_ = in::top;
        } else {
            state_ = in::top; // the end of the metadata, or of all
        }
    }
    void key(std::string& text) {
        if (skipped_ > 0) return;
        if (state_ == in::top) {
            state_ = text == "__metadata__" ? in::metadata_name : in::name;
            if (state_ == in::metadata_name && std::exchange(metadata_seen_, true))
                throw error{where_, "one __metadata__", "two"};
            name_ = std::move(text);
        } else if (state_ == in::metadata) {
            key_ = std::move(text);
            if (metadata_.contains(key_))
                throw error{where_ + ": __metadata__", "every key once",
                            printable(key_) + " twice"};
            if (std::ssize(metadata_) >= most_.metadata)
                throw error{where_ + ": __metadata__",
                            "at most " + std::to_string(most_.metadata) + " entries", "more"};
            state_ = in::metadata_value;
        } else {
            state_ = text == "dtype"          ? in::dtype
                     : text == "shape"        ? in::shape
                     : text == "data_offsets" ? in::offsets
                                              : in::unknown;
            if (state_ != in::unknown && std::exchange(seen_[static_cast<int>(state_)], true))
                throw error{tensor(), "every field once", text + " twice"};
        }
    }
    void string(std::string& text) {
        if (state_ == in::dtype) {
            auto const type = element_named(text);
            if (!type) throw error{tensor(), "a dtype of the format", printable(text)};
            now_.type = *type;
            state_ = in::tensor;
        } else if (state_ == in::metadata_value) {
            metadata_.emplace(std::move(key_), std::move(text));
            state_ = in::metadata;
        } else {
            other(printable(text));
        }
    }
    void number(index_t n) {
        if (state_ == in::shape_list) {
            now_.dims.push_back(n);
            if (std::ssize(now_.dims) > most_.dims)
                throw error{tensor(),
                            "at most " + std::to_string(most_.dims) + " sizes in its shape",
                            "more"};
        } else if (state_ == in::offsets_list) {
            if (ends_ < 2) end_[ends_] = n;
            ++ends_;
        } else {
            other(std::to_string(n));
        }
    }
    void other(std::string const& what) {
        if (skipped_ > 0) return;
        if (state_ == in::unknown)
            return void(state_ = in::tensor); // the format ignores such fields
        wrong(what);
    }

private:
    enum class in {
        dtype,
        shape,
        offsets, // index `seen_`
        start,
        top,
        name,
        tensor,
        unknown,
        shape_list,
        offsets_list,
        metadata_name,
        metadata,
        metadata_value,
    };
    std::vector<stored>& tensors_;
    string_map& metadata_;
    index_t data_; // where the data begins
    std::string const& where_;
    limits const& most_;
    in state_ = in::start;
    index_t skipped_ = 0; // depth inside an unknown field
    bool metadata_seen_ = false;
    std::string name_, key_;
    stored now_;
    bool seen_[3]{};
    index_t end_[2]{}, ends_ = 0;

    std::string tensor() const { return where_ + ": tensor " + printable(name_); }

    [[noreturn]] void wrong(std::string const& got) const {
        char const* const whole = "a whole number from 0 to 9223372036854775807";
        switch (state_) {
        case in::start:
            throw error{where_, "a JSON object", got};
        case in::name:
            throw error{tensor(), "an object", got};
        case in::dtype:
            throw error{tensor() + ", dtype", "a string", got};
        case in::shape:
            throw error{tensor() + ", shape", "an array", got};
        case in::offsets:
            throw error{tensor() + ", data_offsets", "an array", got};
        case in::shape_list:
            throw error{tensor() + ", shape", whole, got};
        case in::offsets_list:
            throw error{tensor() + ", data_offsets", whole, got};
        case in::metadata_name:
            throw error{where_ + ": __metadata__", "an object", got};
        default:
            throw error{where_ + ": __metadata__ " + printable(key_), "a string", got};
        }
    }
    void begin_tensor() {
        if (std::ssize(name_) > most_.name_bytes)
            throw error{tensor(),
                        "a name of at most " + std::to_string(most_.name_bytes) + " bytes",
                        std::to_string(name_.size())};
        if (std::ssize(tensors_) >= most_.tensors)
            throw error{where_, "at most " + std::to_string(most_.tensors) + " tensors", "more"};
        now_ = {};
        ends_ = 0;
        std::fill(seen_, seen_ + 3, false);
        state_ = in::tensor;
    }
    void end_tensor() {
        char const* const fields[] = {"dtype", "shape", "data_offsets"};
        for (int i = 0; i < 3; ++i)
            if (!seen_[i]) throw error{tensor(), std::string("a field ") + fields[i], "none"};
        if (ends_ != 2)
            throw error{tensor() + ", data_offsets", "2 numbers", std::to_string(ends_)};
        if (end_[0] > end_[1])
            throw error{tensor() + ", data_offsets", "begin before end",
                        "[" + std::to_string(end_[0]) + ", " + std::to_string(end_[1]) + "]"};
        auto const count = count_of(now_.dims);
        auto const bits = count ? product(*count, bits_of(now_.type)) : std::nullopt;
        if (!bits) throw error{tensor(), "a shape whose size in bits fits 63 bits", now_.text()};
        if (*bits % 8 != 0) throw error{tensor(), "whole bytes", now_.text()};
        now_.bytes = end_[1] - end_[0];
        if (*bits / 8 != now_.bytes)
            throw error{tensor(), std::to_string(*bits / 8) + " bytes for " + now_.text(),
                        std::to_string(now_.bytes) + " in data_offsets"};
        auto const offset = sum(end_[0], data_); // both ends must fit once the header is added
        if (!offset || !sum(*offset, now_.bytes))
            throw error{tensor() + ", data_offsets", "bytes inside the file",
                        std::to_string(end_[1])};
        now_.offset = *offset;
        now_.name = std::move(name_);
        tensors_.push_back(std::move(now_));
    }
};

} // namespace detail

} // namespace io
} // namespace prytany::inline PRYTANY_ABI
