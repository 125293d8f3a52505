// SPDX-License-Identifier: MIT
// JSON that nobody vouches for, as a stream of events.
#pragma once

#include <limits>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "prytany/core/error.hpp"
#include "prytany/io/text.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace io {

/// Objects and arrays inside each other that a file may have.
inline constexpr index_t json_depth = 8;

namespace detail {

/// Turns the parser's events into the fewer ones of `read_json`.
template <class Reader>
class json_events {
public:
    json_events(Reader& reader, std::string const& where, index_t base)
        : reader_(reader), where_(where), base_(base) {}

    bool null() { return other("null"); }
    bool boolean(bool value) { return other(value ? "true" : "false"); }
    bool number_integer(nlohmann::json::number_integer_t n) { return other(std::to_string(n)); }
    bool number_unsigned(nlohmann::json::number_unsigned_t n) {
        if (n > static_cast<std::size_t>(std::numeric_limits<index_t>::max()))
            return other(std::to_string(n));
        reader_.number(static_cast<index_t>(n));
        return true;
    }
    bool number_float(double, std::string const& text) { return other(printable(text)); }
    bool string(std::string& text) { return reader_.string(text), true; }
    bool key(std::string& text) { return reader_.key(text), true; }
    bool start_object(std::size_t) { return deeper(), reader_.open_object(), true; }
    bool start_array(std::size_t) { return deeper(), reader_.open_array(), true; }
    bool end_object() { return --depth_, reader_.close(), true; }
    bool end_array() { return --depth_, reader_.close(), true; }
    bool binary(nlohmann::json::binary_t&) { return other("binary data"); }
    template <class Exception>
    bool parse_error(std::size_t read, std::string const&, Exception const&) {
        auto const at = base_ + static_cast<index_t>(read) - 1;
        throw error{where_, "JSON", "an error of syntax at byte " + std::to_string(at)};
    }

private:
    Reader& reader_;
    std::string const& where_;
    index_t base_, depth_ = 0;

    bool other(std::string const& what) { return reader_.other(what), true; }
    void deeper() {
        if (++depth_ > json_depth)
            throw error{where_, "at most " + std::to_string(json_depth) + " levels of JSON",
                        "deeper nesting"};
    }
};

} // namespace detail

/// Tells `reader` what is in a JSON text: open_object(), open_array(), close(), key(string&),
/// string(string&), number(index_t) for whole numbers from 0 on that fit, other(what) for the rest.
///
/// `base` is where the text begins in its file. No recursion; a string may be moved from.
/// Throws    error: not UTF-8, a NUL or a byte order mark (the parser takes both), not JSON, too
///           deep; what the reader throws
/// Test      tests/io/json.test.cpp
template <class Reader>
void read_json(std::string_view text, index_t base, std::string const& where, Reader& reader) {
    auto const at = [&](std::size_t i) { return std::to_string(base + static_cast<index_t>(i)); };
    auto const good = static_cast<std::size_t>(utf8_end(text));
    if (good < text.size()) throw error{where, "UTF-8", "something else at byte " + at(good)};
    if (auto const nul = text.find('\0'); nul != text.npos)
        throw error{where, "JSON", "a NUL at byte " + at(nul)};
    if (text.substr(0, 3) == "\xef\xbb\xbf")
        throw error{where, "JSON", "a byte order mark at byte " + at(0)};
    detail::json_events<Reader> events{reader, where, base};
    nlohmann::json::sax_parse(text.data(), text.data() + text.size(), &events);
}

} // namespace io
} // namespace prytany::inline PRYTANY_ABI
