// SPDX-License-Identifier: MIT
// Memory aligned to a cache line, on huge pages where it is large.
#pragma once

#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "prytany/core/config.hpp"

namespace prytany::inline PRYTANY_ABI {

/// An array of trivial elements aligned to 64 bytes; zero when made, deep when copied.
///
/// From 2 MiB on it asks for huge pages: streaming weights from 4 KiB pages loses a tenth or more
/// of the memory bandwidth.
/// Throws    std::bad_alloc
/// Test      tests/core/buffer.test.cpp
template <class T>
class buffer {
    static_assert(std::is_trivially_copyable_v<T>, "buffer: the element type must be trivial");

public:
    buffer() = default;
    explicit buffer(index_t size) : data_(allocate(size)), size_(size) {
        if (size_ > 0) std::memset(static_cast<void*>(data_), 0, bytes());
    }
    buffer(buffer const& other) : data_(allocate(other.size_)), size_(other.size_) {
        if (size_ > 0) std::memcpy(static_cast<void*>(data_), other.data_, bytes());
    }
    buffer(buffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    buffer& operator=(buffer other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~buffer() { std::free(data_); }

    T* data() noexcept { return data_; }
    T const* data() const noexcept { return data_; }
    index_t size() const noexcept { return size_; }
    T& operator[](index_t i) noexcept { return data_[i]; }
    T const& operator[](index_t i) const noexcept { return data_[i]; }

private:
    T* data_ = nullptr;
    index_t size_ = 0;

    std::size_t bytes() const noexcept { return static_cast<std::size_t>(size_) * sizeof(T); }
    static T* allocate(index_t size) {
        constexpr std::size_t line = 64, huge = std::size_t{1} << 21;
        if (size <= 0) return nullptr;
        if (static_cast<std::size_t>(size) > (std::size_t{1} << 62) / sizeof(T))
            throw std::bad_alloc();
        std::size_t const wanted = static_cast<std::size_t>(size) * sizeof(T);
        std::size_t const unit = wanted >= huge ? huge : line;
        std::size_t const rounded = (wanted + unit - 1) / unit * unit;
        void* const memory = std::aligned_alloc(unit, rounded);
        if (memory == nullptr) throw std::bad_alloc();
#if defined(__linux__)
        if (unit == huge) (void)::madvise(memory, rounded, MADV_HUGEPAGE); // a wish, not a need
#endif
        return static_cast<T*>(memory);
    }
};

} // namespace prytany::inline PRYTANY_ABI
