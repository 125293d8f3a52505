// SPDX-License-Identifier: MIT
// Which file of a checkpoint holds which tensor, out of its index.
#pragma once

#include <string>
#include <utility>

#include "prytany/core/error.hpp"
#include "prytany/io/json.hpp"
#include "prytany/io/limits.hpp"
#include "prytany/io/text.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace io {
namespace detail {

/// Reads {"weight_map": {tensor: file, …}, …} and ignores every other field.
class shard_index {
public:
    shard_index(std::string_view json, std::string const& where, limits const& most)
        : where_(where), most_(most) {
        read_json(json, 0, where_, *this);
        if (!seen_) throw error{where_, "a field weight_map", "none"};
    }
    /// The file of each tensor.
    string_map const& files() const noexcept { return files_; }

    void open_object() {
        ++depth_;
        if (depth_ == 2 && here_) in_map_ = true;
        if (depth_ > 2 && in_map_) wrong("an object");
    }
    void open_array() {
        if (depth_ == 0) throw error{where_, "a JSON object", "an array"};
        if (here_) wrong("an array");
        ++depth_;
    }
    void close() {
        --depth_;
        if (depth_ == 1) in_map_ = here_ = false;
    }
    void key(std::string& text) {
        if (depth_ == 1) {
            here_ = text == "weight_map";
            if (here_ && std::exchange(seen_, true)) throw error{where_, "one weight_map", "two"};
        } else if (in_map_) {
            if (std::ssize(text) > most_.name_bytes || std::ssize(files_) >= most_.tensors)
                throw error{where_, "names and tensors within the limits", printable(text)};
            if (files_.contains(text))
                throw error{where_ + ": tensor " + printable(text), "one file", "its name twice"};
            name_ = std::move(text);
        }
    }
    void string(std::string& text) {
        if (in_map_) {
            files_.emplace(std::move(name_), std::move(text));
        } else {
            other("a string");
        }
    }
    void number(index_t) { other("a number"); }
    void other(std::string const& what) {
        if (depth_ == 0) throw error{where_, "a JSON object", what};
        if (here_) wrong(what);
    }

private:
    std::string const& where_;
    limits const& most_;
    string_map files_;
    std::string name_;
    index_t depth_ = 0;
    bool here_ = false;   // the value of weight_map
    bool in_map_ = false; // inside it
    bool seen_ = false;

    [[noreturn]] void wrong(std::string const& got) const {
        if (in_map_)
            throw error{where_ + ": tensor " + printable(name_), "the name of a file", got};
        throw error{where_ + ": weight_map", "an object", got};
    }
};

} // namespace detail
} // namespace io
} // namespace prytany::inline PRYTANY_ABI
