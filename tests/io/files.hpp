// SPDX-License-Identifier: MIT
// What the tests of io share: files that exist for one test, and safetensors files as bytes.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <unistd.h>

#include "prytany/core/error.hpp"
#include "prytany/io/safetensors_header.hpp"

namespace files {

using prytany::index_t;

/// How much longer a bound on time is: with a sanitizer ten times, and as much without optimisation.
inline constexpr bool sanitized =
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    true;
#else
    false;
#endif
#else
    false;
#endif
#if defined(__OPTIMIZE__)
inline constexpr double patience = sanitized ? 10 : 1;
#else
inline constexpr double patience = sanitized ? 100 : 10;
#endif

/// A folder that is gone when the test ends.
struct folder {
    std::filesystem::path path;
    folder() {
        std::string name = (std::filesystem::temp_directory_path() / "prytany-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) std::abort();
        path = name;
    }
    folder(folder const&) = delete;
    folder& operator=(folder const&) = delete;
    ~folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    std::string at(std::string const& name) const { return (path / name).string(); }
    std::string write(std::string const& name, std::string_view bytes) const {
        std::FILE* const file = std::fopen(at(name).c_str(), "wb");
        if (file == nullptr) std::abort();
        if (std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size()) std::abort();
        if (std::fclose(file) != 0) std::abort();
        return at(name);
    }
    std::size_t count() const {
        auto const all = std::filesystem::directory_iterator(path);
        return static_cast<std::size_t>(std::distance(begin(all), end(all)));
    }
};

inline std::string read(std::string const& path) {
    std::string out;
    std::FILE* const file = std::fopen(path.c_str(), "rb");
    if (file == nullptr) std::abort();
    for (int c; (c = std::fgetc(file)) != EOF;) out += static_cast<char>(c);
    std::fclose(file);
    return out;
}

/// What an error says; nothing where `act` throws none.
template <class Act>
std::string message(Act const& act) {
    try {
        act();
    } catch (prytany::error const& e) {
        return e.what();
    }
    return {};
}

inline std::string length(std::uint64_t n) {
    std::string out(8, '\0');
    std::memcpy(out.data(), &n, 8);
    return out;
}
/// A file with this JSON and these bytes of data.
inline std::string with(std::string const& json, std::string const& data = {}) {
    return length(json.size()) + json + data;
}
inline std::string zeros(std::size_t n) { return std::string(n, '\0'); }
/// "name": {a tensor}.
inline std::string tensor(std::string const& name, std::string const& type,
                          std::string const& shape, std::string const& offsets) {
    return "\"" + name + "\":{\"dtype\":\"" + type + "\",\"shape\":" + shape +
           ",\"data_offsets\":" + offsets + "}";
}

/// Parses a whole file in memory.
inline prytany::io::safetensors_header parse(std::string_view bytes,
                                             prytany::io::limits const& most = {}) {
    using header = prytany::io::safetensors_header;
    std::string const where = "file";
    auto const all = std::as_bytes(std::span(bytes));
    auto const first = all.first(std::min<std::size_t>(all.size(), header::prefix));
    index_t const n = header::length(first, std::ssize(bytes), where, most);
    return header::parse(bytes.substr(header::prefix, static_cast<std::size_t>(n)),
                         std::ssize(bytes), where, most);
}

/// Small numbers that do not repeat soon, the same on every machine.
class dice {
public:
    explicit dice(std::uint64_t seed) : state_(seed) {}
    /// Below `sides`, which is at least 1.
    std::size_t operator()(std::size_t sides) {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return static_cast<std::size_t>(state_ >> 33) % sides;
    }

private:
    std::uint64_t state_;
};

} // namespace files
