// SPDX-License-Identifier: MIT
// A file that appears whole or not at all.
#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <span>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "prytany/core/error.hpp"
#include "prytany/io/file.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace io {

/// The operating system, as the writer of files sees it; tests put another one in its place.
struct writing_calls {
    static constexpr std::size_t largest = std::size_t{1} << 30; // bytes written at once

    int status(char const* path, struct ::stat& to) const noexcept { return ::stat(path, &to); }
    /// Fails where the file exists.
    int create(char const* path) const noexcept {
        return ::open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    }
    int open_folder(char const* path) const noexcept {
        return ::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    ::ssize_t write(int to, void const* from, std::size_t bytes, ::off_t at) const noexcept {
        return ::pwrite(to, from, bytes, at);
    }
    int flush(int which) const noexcept { return ::fsync(which); }
    int close(int which) const noexcept { return ::close(which); }
    int rename(char const* from, char const* to) const noexcept { return std::rename(from, to); }
    int remove(char const* path) const noexcept { return ::unlink(path); }
};

/// Writes beside `path`, and takes that name only in commit(): whatever fails, and whenever the
/// process ends, there is the old file or the new one. Without commit() nothing stays.
///
///     commit = fsync, close, rename over `path`, fsync of its folder
///
/// Throws    error: a failed call, also that of close
/// Test      tests/io/new_file.test.cpp
template <class System = writing_calls>
class basic_new_file {
public:
    explicit basic_new_file(std::string path, System calls = {})
        : calls_(std::move(calls)), path_(std::move(path)) {
        static std::atomic<unsigned> made{0};
        struct ::stat there {};
        if (calls_.status(path_.c_str(), there) == 0 && !S_ISREG(there.st_mode))
            throw error{path_, "a regular file or none", "another kind of file"};
        do {
            beside_ = path_ + ".new-" + std::to_string(::getpid()) + "-" +
                      std::to_string(made.fetch_add(1, std::memory_order_relaxed));
            file_ = calls_.create(beside_.c_str());
        } while (file_ < 0 && (errno == EEXIST || errno == EINTR));
        if (file_ < 0) fail("a file that can be written");
    }
    basic_new_file(basic_new_file const&) = delete;
    basic_new_file& operator=(basic_new_file const&) = delete;
    ~basic_new_file() {
        if (file_ >= 0) (void)calls_.close(file_);
        if (!beside_.empty()) (void)calls_.remove(beside_.c_str());
    }

    std::string const& path() const noexcept { return path_; }

    /// Writes all of `from` to the bytes from `at` on.
    void write(index_t at, std::span<std::byte const> from) {
        if (file_ < 0) throw error{path_, "to be written before commit()", "written after it"};
        while (!from.empty()) {
            std::size_t const piece = std::min(from.size(), System::largest);
            ::ssize_t const done = calls_.write(file_, from.data(), piece, at);
            if (done < 0 && errno == EINTR) continue;
            if (done < 0) fail("room for byte " + std::to_string(at));
            if (done == 0) throw error{path_, "room for byte " + std::to_string(at), "none"};
            from = from.subspan(static_cast<std::size_t>(done));
            at += done;
        }
    }
    void commit() {
        if (file_ < 0) throw error{path_, "one commit()", "a second"};
        flush(file_);
        if (calls_.close(std::exchange(file_, -1)) != 0) fail("a file that closes");
        if (calls_.rename(beside_.c_str(), path_.c_str()) != 0) fail("a file of this name");
        beside_.clear();
        auto const slash = path_.rfind('/');
        std::string const folder = slash == path_.npos ? "." : path_.substr(0, slash + 1);
        file_ = calls_.open_folder(folder.c_str());
        if (file_ < 0) fail("a folder that can be flushed");
        flush(file_);
        if (calls_.close(std::exchange(file_, -1)) != 0) fail("a folder that closes");
    }

private:
    System calls_;
    std::string path_, beside_;
    int file_ = -1;

    void flush(int which) {
        while (calls_.flush(which) != 0)
            if (errno != EINTR) fail("data that reaches the disk");
    }
    [[noreturn]] void fail(std::string const& expected) const {
        throw error{path_, expected, system_text()};
    }
};
using new_file = basic_new_file<>;

} // namespace io
} // namespace prytany::inline PRYTANY_ABI
