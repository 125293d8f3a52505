// SPDX-License-Identifier: MIT
// The config.json of a model on the hub.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "prytany/core/config.hpp"
#include "prytany/core/error.hpp"
#include "prytany/io/file.hpp"
#include "prytany/io/text.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace family {

/// A model's config.json: its numbers by key, each checked for its type.
///
/// A key that is null counts as left out.
/// Throws    error, naming the file, the key, what was expected and what was got
/// Test      tests/family/config.test.cpp
class config {
public:
    /// Reads a file, or `config.json` in a folder.
    explicit config(std::filesystem::path path) {
        if (std::filesystem::is_directory(path)) path /= "config.json";
        where_ = path.string();
        io::file const file(where_);
        constexpr index_t most = index_t{16} << 20;
        if (file.size() > most) throw error(where_, "at most 16 MiB", std::to_string(file.size()));
        std::string text(static_cast<std::size_t>(file.size()), '\0');
        file.read(0, std::as_writable_bytes(std::span(text)));
        constexpr int deepest = 32; // what follows may recurse
        bool deeper = false;
        auto const keep = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
            deeper = deeper || depth > deepest;
            return depth <= deepest;
        };
        json_ = nlohmann::json::parse(text, keep, false);
        if (deeper)
            throw error(where_, "at most " + std::to_string(deepest) + " levels of JSON",
                        "deeper nesting");
        if (json_.is_discarded() || !json_.is_object())
            throw error(where_, "a JSON object", "something else");
    }
    config(nlohmann::json values, std::string where)
        : json_(std::move(values)), where_(std::move(where)) {}

    std::string const& where() const noexcept { return where_; }
    bool has(char const* key) const { return json_.contains(key) && !json_[key].is_null(); }

    /// A count or a size: an integer from 0 on.
    index_t integer(char const* key, std::optional<index_t> otherwise = {}) const {
        constexpr char const* expected = "an integer from 0 on";
        auto const* const v = find(key, otherwise.has_value(), expected);
        if (v == nullptr) return *otherwise;
        bool const small =
            v->is_number_unsigned()
                ? v->get<std::uint64_t>() <= std::uint64_t{std::numeric_limits<index_t>::max()}
                : v->is_number_integer() && v->get<std::int64_t>() >= 0;
        if (!small) throw wrong(key, expected, *v);
        return v->get<index_t>();
    }
    /// The number of routed experts, under any of the names that versions of the hub gave it.
    index_t experts() const {
        for (char const* const key : {"num_experts", "num_local_experts", "n_routed_experts"})
            if (has(key)) return integer(key);
        throw error(where_, "num_experts, num_local_experts or n_routed_experts", "none of them");
    }
    double number(char const* key, std::optional<double> otherwise = {}) const {
        auto const* const v = find(key, otherwise.has_value(), "a number");
        if (v == nullptr) return *otherwise;
        if (!v->is_number()) throw wrong(key, "a number", *v);
        return v->get<double>();
    }
    bool flag(char const* key, std::optional<bool> otherwise = {}) const {
        auto const* const v = find(key, otherwise.has_value(), "true or false");
        if (v == nullptr) return *otherwise;
        if (!v->is_boolean()) throw wrong(key, "true or false", *v);
        return v->get<bool>();
    }
    std::string text(char const* key, std::optional<std::string> otherwise = {}) const {
        auto const* const v = find(key, otherwise.has_value(), "a text");
        if (v == nullptr) return *otherwise;
        if (!v->is_string()) throw wrong(key, "a text", *v);
        return v->get<std::string>();
    }
    /// The object under a key, an empty one if it is left out.
    config inner(char const* key) const {
        auto const* const v = find(key, true, "an object");
        if (v != nullptr && !v->is_object()) throw wrong(key, "an object", *v);
        return {v == nullptr ? nlohmann::json::object() : *v, where_ + ": " + key};
    }
    /// The number of entries of a list under a key, 0 if it is left out.
    index_t entries(char const* key) const {
        auto const* const v = find(key, true, "a list");
        if (v != nullptr && !v->is_array()) throw wrong(key, "a list", *v);
        return v == nullptr ? 0 : static_cast<index_t>(v->size());
    }
    /// Throws unless a text has one of the values that the caller can run.
    void require(char const* key, std::initializer_list<char const*> values,
                 std::optional<std::string> otherwise = {}) const {
        std::string const got = text(key, std::move(otherwise));
        std::string list;
        for (char const* const v : values) {
            if (got == v) return;
            list += (list.empty() ? "" : " or ") + std::string(v);
        }
        throw error(where_ + ": " + key, list, io::printable(got));
    }

private:
    nlohmann::json json_;
    std::string where_;

    nlohmann::json const* find(char const* key, bool optional, char const* expected) const {
        if (has(key)) return &json_[key];
        if (!optional) throw error(where_ + ": " + key, expected, "nothing");
        return nullptr;
    }
    error wrong(char const* key, char const* expected, nlohmann::json const& got) const {
        bool const one = !got.is_structured();
        return {where_ + ": " + key, expected,
                one ? got.dump(-1, ' ', true).substr(0, 64) : "an " + std::string(got.type_name())};
    }
};

} // namespace family
} // namespace prytany::inline PRYTANY_ABI
