// SPDX-License-Identifier: MIT
// Generation on the bundled model allocates nothing.
#include <atomic>
#include <cstdlib>
#include <new>

#include "family/bundled.hpp"
#include "prytany/exec/thread_pool.hpp"
#include "support/catch.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS_ALIGNED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COUNTS_ALIGNED 0
#endif
#endif
#if !defined(COUNTS_ALIGNED) && defined(__GLIBC__)
#define COUNTS_ALIGNED 1
#endif

namespace {
std::atomic<std::size_t> allocations{0};
} // namespace

// Every allocation of this program is counted: through operator new, and through the aligned_alloc
// that buffers are made of.
[[gnu::noinline]] void* operator new(std::size_t size) {
    allocations.fetch_add(1, std::memory_order_relaxed);
    if (void* const memory = std::malloc(size > 0 ? size : 1)) return memory;
    throw std::bad_alloc();
}
void* operator new[](std::size_t size) { return ::operator new(size); }
[[gnu::noinline]] void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
    allocations.fetch_add(1, std::memory_order_relaxed);
    return std::malloc(size > 0 ? size : 1);
}
void* operator new[](std::size_t size, std::nothrow_t const& quiet) noexcept {
    return ::operator new(size, quiet);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { ::operator delete(memory); }
void operator delete(void* memory, std::size_t) noexcept { ::operator delete(memory); }
void operator delete[](void* memory, std::size_t) noexcept { ::operator delete(memory); }
#if COUNTS_ALIGNED
extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
    allocations.fetch_add(1, std::memory_order_relaxed);
    void* memory = nullptr;
    return ::posix_memalign(&memory, alignment, size) == 0 ? memory : nullptr;
}
#endif

using namespace prytany;

TEST_CASE("qwen2_moe_decoder: generation allocates nothing after the first token") {
    auto const words = bundled::prompt(0);
    auto const model = bundled::model();
    auto const generate = [&](auto&& pool) {
        decltype(model)::state sequence(model);
        workspace ws;
        std::vector<float> row(256);
        matrix_view<float> const logits(row.data(), 1, 256);
        model.forward(std::span(words).first(20), sequence, logits, ws, pool);
        std::int32_t last = row[0] > row[1] ? 32 : 101;
        model.forward({&last, 1}, sequence, logits, ws, pool);
        std::size_t const before = allocations.load();
        for (int i = 0; i < 200; ++i) {
            last = row[0] > row[1] ? 32 : 101;
            model.forward({&last, 1}, sequence, logits, ws, pool);
        }
        return allocations.load() - before;
    };
    std::size_t const start = allocations.load();
    ::operator delete(::operator new(3)); // a call, which no compiler may leave out
    REQUIRE(allocations.load() > start);  // the count counts
    CHECK(generate(sequential{}) == 0);
    CHECK(generate(thread_pool(4)) == 0);
}
