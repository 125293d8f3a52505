// SPDX-License-Identifier: MIT
// The memory of a call: reserved once, used again, never trusted.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#include "layer/moe_held.hpp"
#include "prytany/exec/thread_pool.hpp"
#include "prytany/format/int8_rows.hpp"
#include "prytany/format/mxfp4.hpp"
#include "prytany/layer/merged.hpp"
#include "prytany/layer/residual/robust.hpp"
#include "prytany/layer/soft.hpp"
#include "prytany/layer/stepped.hpp"
#include "prytany/router/head_gate.hpp"
#include "prytany/router/score/linear.hpp"

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
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
#if COUNTS_ALIGNED
extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
    allocations.fetch_add(1, std::memory_order_relaxed);
    void* memory = nullptr;
    return ::posix_memalign(&memory, alignment, size) == 0 ? memory : nullptr;
}
#endif

using namespace prytany;
using numbers::rows, numbers::same_bits;

namespace {

using tiled = moe<shape{40, 56, 12, 2, 24}, biased{top_k{.k = 3}}, ffn{swiglu}, shared_gate{}>;
using untiled = moe<shape{33, 17, 7, 1}, top_k{.k = 2}, written::untiled{ffn{gelu, biases}}>;

using rounded =
    moe<shape{40, 56, 12, 1}, top_k{.k = 3}, ffn{swiglu}, mxfp4{.activations = activations::int8},
        shared_as{int8_rows{.activations = activations::int16}}>;

void soil(workspace& ws, int with) {
    auto const all = ws.open().take<std::byte>(ws.bytes());
    if (!all.empty()) std::memset(all.data(), with, all.size());
}

template <class Layer, class Executor>
void allocates_nothing(Executor&& pool) {
    Layer layer;
    numbers::fill(layer);
    index_t const most = 33;
    auto const x = rows::normal(most, layer.sizes().model, 3);
    rows y(most, layer.sizes().model);
    workspace ws;
    ws.reserve(layer, most, pool);
    index_t const bytes = ws.bytes();
    std::vector<std::uint8_t> const mask(static_cast<std::size_t>(most), 1);
    std::size_t const before = allocations.load();
    for (index_t call = 0; call < 1000; ++call) {
        index_t const tokens = call % (most + 1);
        layer.forward({x.view().part(0, tokens), std::span(mask).first(numbers::at(tokens))},
                      y.view().part(0, tokens), ws, pool);
    }
    CHECK(allocations.load() == before);
    CHECK(ws.bytes() == bytes);
}

// What a call needs beside rows, out, workspace and pool: `held`, or a carry.
template <class Layer, class Begin, class Executor>
void mixing_allocates_nothing(Layer layer, Begin&& begin, Executor&& pool) {
    numbers::fill(layer);
    index_t const most = 33, model = layer.sizes().model;
    auto const x = rows::normal(most, model, 3);
    rows y(most, model);
    workspace ws;
    ws.reserve(layer, most, pool);
    std::size_t const before = allocations.load();
    for (index_t call = 0; call < 300; ++call) {
        index_t const tokens = call % (most + 1);
        begin(layer, input{x.view().part(0, tokens)}, y.view().part(0, tokens), ws, pool);
    }
    CHECK(allocations.load() == before);
}

} // namespace

TEST_CASE("moe: the count of allocations counts") {
    std::size_t const before = allocations.load();
    void* const memory = ::operator new(4); // unlike a new expression, never left out
    CHECK(allocations.load() > before);
    ::operator delete(memory);
#if COUNTS_ALIGNED
    std::size_t const between = allocations.load();
    buffer<float> const some(100);
    CHECK(allocations.load() == between + 1);
#endif
}

TEST_CASE("moe: after reserve a thousand calls allocate nothing") {
    allocates_nothing<tiled>(sequential{});
    allocates_nothing<untiled>(sequential{});
    allocates_nothing<rounded>(sequential{});
    allocates_nothing<tiled>(thread_pool(4));
    allocates_nothing<untiled>(thread_pool(4));
    allocates_nothing<rounded>(thread_pool(4));
}

TEST_CASE("moe: a call without reserve reserves what it needs") {
    tiled layer;
    numbers::fill(layer);
    auto const x = rows::normal(20, 40, 3);
    workspace reserved, left;
    thread_pool pool(3);
    reserved.reserve(layer, 20, pool);
    (void)numbers::run(layer, x, left, pool);
    CHECK(left.bytes() == reserved.bytes());
}

TEST_CASE("moe: a workspace serves larger and smaller batches, other layers, and soiled memory") {
    tiled layer;
    untiled other;
    numbers::fill(layer);
    numbers::fill(other);
    workspace ws;
    thread_pool pool(4);
    for (index_t const tokens : {5, 64, 1, 40, 0, 64, 3}) {
        auto const x = rows::normal(tokens, 40, 4), z = rows::normal(tokens, 33, 5);
        auto const right = numbers::run(layer, x), also = numbers::run(other, z);
        for (int const with : {0x00, 0xff, 0xa5}) {
            soil(ws, with);
            CHECK(same_bits(numbers::run(layer, x, ws, sequential{}), right));
            soil(ws, with);
            CHECK(same_bits(numbers::run(other, z, ws, pool), also));
            soil(ws, with);
            CHECK(same_bits(numbers::run(layer, x, ws, pool), right));
        }
    }
}

TEST_CASE("moe: reserved memory ends where its use ends") {
    tiled const layer;
    untiled const other;
    auto const used = [](auto const& some, index_t tokens, index_t workers) {
        arena count;
        typename std::remove_cvref_t<decltype(some)>::scratch room{};
        some.lay_out(room, count, tokens, workers);
        return count.used();
    };
    for (index_t const tokens : {0, 1, 9, 100}) {
        workspace ws;
        ws.reserve(layer, tokens, sequential{});
        CHECK(ws.bytes() == used(layer, tokens, 1));
        CHECK(used(layer, tokens + 1, 2) >= used(layer, tokens, 2));
        CHECK(used(other, tokens, 4) >= used(other, tokens, 1));
    }
}

TEST_CASE("soft, merged, stepped: after reserve calls allocate nothing") {
    thread_pool pool(3);
    auto const both = [&](auto layer, auto&& f) {
        mixing_allocates_nothing(layer, f, sequential{});
        mixing_allocates_nothing(layer, f, pool);
    };
    using soft_slots = soft<shape{33, 17, 7}, ffn{gelu, biases}>;
    both(soft_slots({}, {.slots = 2}), [](auto const& layer, input const& in, auto out, auto& ws,
                                          auto& p) { layer.forward(in, out, ws, p); });
    using one_expert = merged<shape{33, 17, 7}, linear{}, ffn{gelu, biases}>;
    one_expert const merging({}, {.segment = 5});
    one_expert::held held(merging);
    both(merging, [&](auto const& layer, input const& in, auto out, auto& ws, auto& p) {
        layer.forward(in, out, held, ws, p);
    });
    using heads = moe<shape{33, 17, 7}, head_gate{.shared = 2, .k = 2}, ffn{gelu, biases}>;
    depth_memory<robust> memory(33, 33);
    both(stepped<heads, robust{}>{},
         [&](auto const& layer, input const& in, auto out, auto& ws, auto& p) {
             layer.forward(in, out, memory.start(in.tokens()), ws, p);
         });
}
