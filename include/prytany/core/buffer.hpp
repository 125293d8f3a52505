// SPDX-License-Identifier: MIT
// Memory aligned to a cache line, on huge pages where it is large.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
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

namespace detail {

/// Memory of one kind: aligned, and on huge pages if its unit is one.
inline void* aligned(std::size_t unit, std::size_t bytes) {
    void* const memory = std::aligned_alloc(unit, (bytes + unit - 1) / unit * unit);
    if (memory == nullptr) throw std::bad_alloc();
#if defined(__linux__)
    constexpr std::size_t huge = std::size_t{1} << 21;
    if (unit >= huge) (void)::madvise(memory, bytes, MADV_HUGEPAGE); // a wish, not a need
#endif
    return memory;
}

/// A stretch of huge pages that arrays of medium size share; it lies at a multiple of its size, so
/// that every array finds it. Freed with its last array.
struct slab {
    static constexpr std::size_t size = std::size_t{1} << 25, least = std::size_t{1} << 16,
                                 most = size / 4;
    std::size_t used, arrays;

    static void* take(std::size_t bytes) {
        constexpr std::size_t line = 64;
        std::size_t const rounded = (bytes + line - 1) / line * line;
        locked const lock;
        slab*& last = newest();
        if (last == nullptr || last->used + rounded > size)
            last = ::new (aligned(size, size)) slab{line, 0};
        ++last->arrays;
        return reinterpret_cast<std::byte*>(last) + std::exchange(last->used, last->used + rounded);
    }
    static void give_back(void* memory) noexcept {
        auto* const mine =
            reinterpret_cast<slab*>(reinterpret_cast<std::uintptr_t>(memory) & ~(size - 1));
        locked const lock;
        if (--mine->arrays > 0) return;
        if (newest() == mine) newest() = nullptr;
        std::free(mine);
    }

private:
    static slab*& newest() noexcept {
        static slab* one = nullptr;
        return one;
    }
    /// Held for a few instructions, or one call of the system.
    struct locked {
        locked() noexcept {
            while (flag().test_and_set(std::memory_order_acquire)) {}
        }
        ~locked() { flag().clear(std::memory_order_release); }
        locked(locked const&) = delete;
        static std::atomic_flag& flag() noexcept {
            static std::atomic_flag one;
            return one;
        }
    };
};

inline void* take(std::size_t bytes) {
    constexpr std::size_t line = 64, huge = std::size_t{1} << 21;
    if (bytes >= slab::least && bytes <= slab::most) return slab::take(bytes);
    return aligned(bytes > slab::most ? huge : line, bytes);
}
inline void give_back(void* memory, std::size_t bytes) noexcept {
    if (bytes >= slab::least && bytes <= slab::most) slab::give_back(memory);
    else std::free(memory);
}

} // namespace detail

/// An array of trivial elements aligned to 64 bytes; zero when made, deep when copied.
///
/// From 64 KiB on it lies on huge pages where the system has them: streaming weights from 4 KiB
/// pages loses up to half of the memory bandwidth.
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
    ~buffer() { detail::give_back(data_, bytes()); }

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
        if (size <= 0) return nullptr;
        if (static_cast<std::size_t>(size) > (std::size_t{1} << 62) / sizeof(T))
            throw std::bad_alloc();
        return static_cast<T*>(detail::take(static_cast<std::size_t>(size) * sizeof(T)));
    }
};

} // namespace prytany::inline PRYTANY_ABI
