// SPDX-License-Identifier: MIT
// A file that is read at any place and must not change meanwhile.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "prytany/core/error.hpp"

namespace prytany::inline PRYTANY_ABI {
namespace io {

/// How a file is read: with a system call for each piece, or through a mapping of all of it. A
/// mapped file that somebody truncates while it is read ends the process (SIGBUS): map what you
/// own.
enum class access { read, map };

/// The operating system, as the reader of files sees it; tests put another one in its place.
struct system_calls {
    static constexpr std::size_t largest = std::size_t{1} << 30; // bytes asked for at once

    int open(char const* path) const noexcept {
        // without NONBLOCK the mere opening of a FIFO would wait for a writer
        return ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    }
    int status(int file, struct ::stat& to) const noexcept { return ::fstat(file, &to); }
    ::ssize_t read(int file, void* to, std::size_t bytes, ::off_t at) const noexcept {
        return ::pread(file, to, bytes, at);
    }
    void* map(int file, std::size_t bytes) const noexcept {
        return ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file, 0);
    }
    void unmap(void* at, std::size_t bytes) const noexcept { (void)::munmap(at, bytes); }
    void close(int file) const noexcept { (void)::close(file); }
};

/// What the last failed system call says of itself.
inline std::string system_text(int code = errno) { return std::generic_category().message(code); }

/// A regular file, open for reading from any thread.
///
/// Throws    error: not a regular file, a failed call, an end of file inside a read, and a file
///           that has another size or time than when it was opened, or was deleted or replaced
///           since
/// Test      tests/io/file.test.cpp
template <class System = system_calls>
class basic_file {
    static_assert(sizeof(::off_t) >= sizeof(index_t), "prytany: files need a 64-bit off_t");

public:
    explicit basic_file(std::string path, access how = access::read, System calls = {})
        : basic_file(std::move(calls), std::move(path)) { // from here on the destructor cleans up
        do {
            file_ = calls_.open(path_.c_str());
        } while (file_ < 0 && errno == EINTR);
        if (file_ < 0) throw error{path_, "a file that can be opened", system_text()};
        first_ = status();
        if (!S_ISREG(first_.st_mode)) throw error{path_, "a regular file", kind(first_.st_mode)};
        if (how == access::map && size() > 0) map();
    }
    basic_file(basic_file&& other) noexcept
        : calls_(other.calls_), path_(std::move(other.path_)),
          file_(std::exchange(other.file_, -1)), first_(other.first_),
          mapping_(std::exchange(other.mapping_, nullptr)) {}
    basic_file& operator=(basic_file other) noexcept {
        std::swap(calls_, other.calls_);
        std::swap(path_, other.path_);
        std::swap(file_, other.file_);
        std::swap(first_, other.first_);
        std::swap(mapping_, other.mapping_);
        return *this;
    }
    ~basic_file() {
        if (mapping_ != nullptr) calls_.unmap(mapping_, static_cast<std::size_t>(size()));
        if (file_ >= 0) calls_.close(file_);
    }

    std::string const& path() const noexcept { return path_; }
    index_t size() const noexcept { return static_cast<index_t>(first_.st_size); }
    /// False also where mapping was asked for but the file system has none.
    bool is_mapped() const noexcept { return mapping_ != nullptr; }

    /// Fills `to` with the bytes from `at` on.
    void read(index_t at, std::span<std::byte> to) const {
        if (at < 0 || at > size() || std::ssize(to) > size() - at)
            throw error{path_, "bytes within its " + std::to_string(size()),
                        std::to_string(to.size()) + " from byte " + std::to_string(at)};
        if (mapping_ != nullptr) {
            check_unchanged();
            if (!to.empty())
                std::memcpy(to.data(), static_cast<std::byte const*>(mapping_) + at, to.size());
        } else {
            read_pieces(at, to);
        }
        check_unchanged();
    }

    void check_unchanged() const {
        struct ::stat const now = status();
        bool const same = now.st_dev == first_.st_dev && now.st_ino == first_.st_ino &&
                          now.st_size == first_.st_size &&
                          now.st_mtim.tv_sec == first_.st_mtim.tv_sec &&
                          now.st_mtim.tv_nsec == first_.st_mtim.tv_nsec &&
                          (now.st_nlink == 0) == (first_.st_nlink == 0);
        if (!same) throw error{path_, "the file as it was opened", "a file changed since"};
    }

private:
    [[no_unique_address]] System calls_;
    std::string path_;
    int file_ = -1;
    struct ::stat first_ {};
    void* mapping_ = nullptr;

    basic_file(System&& calls, std::string&& path)
        : calls_(std::move(calls)), path_(std::move(path)) {}

    static char const* kind(::mode_t mode) noexcept {
        return S_ISDIR(mode)                    ? "a directory"
               : S_ISFIFO(mode)                 ? "a FIFO"
               : S_ISSOCK(mode)                 ? "a socket"
               : S_ISCHR(mode) || S_ISBLK(mode) ? "a device"
                                                : "something else";
    }
    struct ::stat status() const {
        struct ::stat now {};
        if (calls_.status(file_, now) != 0) throw error{path_, "a status", system_text()};
        return now;
    }
    void map() {
        void* const at = calls_.map(file_, static_cast<std::size_t>(size()));
        if (at != MAP_FAILED) {
            mapping_ = at;
        } else if (errno != ENODEV) { // such a file system has no mappings: read instead
            throw error{path_, "a file that can be mapped", system_text()};
        }
    }
    void read_pieces(index_t at, std::span<std::byte> to) const {
        while (!to.empty()) {
            std::size_t const piece = std::min(to.size(), System::largest);
            ::ssize_t const got = calls_.read(file_, to.data(), piece, at);
            if (got < 0 && errno == EINTR) continue;
            auto const place = [&] { return " at byte " + std::to_string(at); };
            if (got < 0) throw error{path_, "data" + place(), system_text()};
            if (got == 0)
                throw error{path_, std::to_string(to.size()) + " more bytes" + place(),
                            "the end of the file"};
            to = to.subspan(static_cast<std::size_t>(got));
            at += got;
        }
    }
};
using file = basic_file<>;

} // namespace io
} // namespace prytany::inline PRYTANY_ABI
