// SPDX-License-Identifier: MIT
// Memory that ends, or starts, at a page nobody may touch.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

namespace twin {

/// Which end of the memory lies against the forbidden page.
enum class edge { front, back };

/// `count` elements between two forbidden pages: one step beyond the chosen end is a fault.
template <class T>
class guarded {
public:
    explicit guarded(std::ptrdiff_t count, edge side = edge::back, T filling = T{}) : size_(count) {
        auto const page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
        std::size_t const wanted = static_cast<std::size_t>(count) * sizeof(T);
        std::size_t const inner = (wanted + page - 1) / page * page;
        mapped_ = inner + 2 * page;
        void* const all = ::mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (all == MAP_FAILED) throw std::bad_alloc();
        base_ = static_cast<std::byte*>(all);
        if (inner > 0 && ::mprotect(base_ + page, inner, PROT_READ | PROT_WRITE) != 0)
            throw std::bad_alloc();
        data_ = reinterpret_cast<T*>(base_ + page + (side == edge::back ? inner - wanted : 0));
        for (std::ptrdiff_t i = 0; i < count; ++i) data_[i] = filling;
    }
    guarded(std::vector<T> const& from, edge side)
        : guarded(static_cast<std::ptrdiff_t>(from.size()), side) {
        for (std::size_t i = 0; i < from.size(); ++i) data_[i] = from[i];
    }
    guarded(guarded const&) = delete;
    guarded& operator=(guarded const&) = delete;
    ~guarded() { ::munmap(base_, mapped_); }

    T* data() noexcept { return data_; }
    T const* data() const noexcept { return data_; }
    std::ptrdiff_t size() const noexcept { return size_; }
    T& operator[](std::ptrdiff_t i) noexcept { return data_[i]; }
    std::vector<T> all() const { return {data_, data_ + size_}; }

private:
    std::byte* base_ = nullptr;
    T* data_ = nullptr;
    std::size_t mapped_ = 0;
    std::ptrdiff_t size_ = 0;
};

} // namespace twin
