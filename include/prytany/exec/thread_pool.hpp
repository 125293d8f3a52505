// SPDX-License-Identifier: MIT
// The executor with threads of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__unix__)
#include <pthread.h>
#endif

#include "prytany/core/error.hpp"
#include "prytany/exec/concept.hpp"
#include "prytany/exec/detail/inside_loop.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Threads that wait for loops: the caller works too, idle workers spin for a while, then sleep.
///
/// Items are claimed one by one, so a worker that the system took away delays only its own item.
/// The first exception of a loop cancels the items not yet begun and reaches the caller; the pool
/// stays usable. A loop inside a loop, a second caller at the same time, and a child after fork()
/// run on the calling thread.
/// Models    executor
/// Cost      a loop that two threads share while they spin: median 0.2 to 0.6 µs, 0.1 if the caller
///           is done before the other one comes; no allocation. Idle workers spin for 0.2 to 0.5 ms
///           (0.01 if there are more workers than cores), then use no processor time
/// Throws    error, if width < 1; std::system_error, if a thread cannot start
/// Test      tests/exec/thread_pool.test.cpp        Bench   bench/exec/thread_pool.bench.cpp
class thread_pool {
public:
    /// `width` workers, the caller among them; by default one for each core.
    explicit thread_pool(index_t width = cores()) {
        if (width < 1) throw error("thread_pool.width", "at least 1", std::to_string(width));
        fork_count(); // registers the handler before the first thread starts
        shared_ = std::make_unique<shared>();
        if (width > cores()) shared_->patience = 100; // who spins there keeps another from working
        try {
            for (index_t w = 1; w < width; ++w)
                threads_.emplace_back([state = shared_.get(), w] { state->serve(w); });
        } catch (...) {
            stop();
            throw;
        }
    }
    thread_pool(thread_pool const&) = delete;
    thread_pool& operator=(thread_pool const&) = delete;
    ~thread_pool() { stop(); }

    static index_t cores() noexcept {
        unsigned const seen = std::thread::hardware_concurrency();
        return seen == 0 ? 1 : static_cast<index_t>(seen);
    }
    index_t width() const noexcept { return static_cast<index_t>(threads_.size()) + 1; }

    template <class F>
    void for_each(index_t count, F&& f) {
        constexpr index_t most = index_t{1} << 31;
        bool const alone =
            count <= 1 || threads_.empty() || detail::inside_loop() || forked_ != fork_count();
        if (alone || count >= most || shared_->taken.exchange(true, std::memory_order_acquire)) {
            for (index_t i = 0; i < count; ++i) f(i, index_t{0});
            return;
        }
        using body = std::remove_reference_t<F>;
        shared_->run(count, const_cast<void*>(static_cast<void const*>(std::addressof(f))),
                     [](void* it, index_t item, index_t worker) {
                         (*static_cast<body*>(it))(item, worker);
                     });
    }

private:
    using task = void (*)(void*, index_t, index_t);

    struct shared {
        // What a waiting worker reads lies in one cache line: the number of the loop in the
        // upper half of the ticket, the items not yet claimed in the lower, and what to call.
        // One exchange claims an item, and until it is done the other fields cannot change.
        alignas(64) std::atomic<std::uint64_t> ticket{0};
        index_t count = 0;
        void* object = nullptr;
        task call = nullptr;
        std::exception_ptr failure;
        std::atomic<bool> cancelled{false};
        // Items that workers have done since the pool began: never set back, so that the caller
        // only reads the line.
        alignas(64) std::atomic<std::uint64_t> done{0};
        alignas(64) std::atomic<bool> taken{false}; // whether a caller has the pool
        std::uint64_t expected = 0;                 // of done, at the end of the caller's loop
        std::uint32_t loops = 0;
        alignas(64) std::atomic<std::uint32_t> sleeping{0}, bell{0};
        std::atomic<bool> ending{false};
        int patience = 8000; // pauses before a worker sleeps, and a caller yields

        void run(index_t items, void* it, task f) {
            count = items;
            object = it;
            call = f;
            cancelled.store(false, std::memory_order_relaxed);
            auto const left =
                static_cast<std::uint64_t>(items - 1); // the first one is the caller's
            ticket.store(std::uint64_t{++loops} << 32 | left);
            if (sleeping.load() != 0) ring();
            {
                detail::loop_mark const mark;
                perform(0, 0);
                expected += static_cast<std::uint64_t>(items - 1) - work(0);
            }
            for (int spins = 0; done.load(std::memory_order_acquire) != expected; ++spins)
                spins < patience ? pause() : std::this_thread::yield();
            std::exception_ptr thrown;
            if (cancelled.load(std::memory_order_relaxed)) thrown = std::move(failure);
            taken.store(false, std::memory_order_release);
            if (thrown) std::rethrow_exception(std::move(thrown));
        }
        void perform(index_t item, index_t worker) noexcept {
            if (cancelled.load(std::memory_order_relaxed)) return;
            try {
                call(object, item, worker);
            } catch (...) {
                if (!cancelled.exchange(true, std::memory_order_relaxed))
                    failure = std::current_exception();
            }
        }
        /// Claims items until none is left; how many it were.
        std::uint64_t work(index_t worker) noexcept {
            std::uint64_t mine = 0;
            for (auto seen = ticket.load(std::memory_order_acquire);;) {
                auto const left = static_cast<std::uint32_t>(seen);
                if (left == 0) return mine;
                if (!ticket.compare_exchange_weak(seen, seen - 1, std::memory_order_acq_rel,
                                                  std::memory_order_acquire))
                    continue;
                perform(count - static_cast<index_t>(left), worker);
                ++mine;
                --seen;
            }
        }
        void serve(index_t worker) noexcept {
            detail::loop_mark const mark;
            for (std::uint32_t known = 0;;) {
                int spins = 0;
                while (loop_now() == known && spins++ < patience) pause();
                if (loop_now() == known) sleep(known);
                if (ending.load(std::memory_order_acquire)) return;
                known = loop_now();
                if (auto const mine = work(worker); mine > 0)
                    done.fetch_add(mine, std::memory_order_acq_rel);
            }
        }
        std::uint32_t loop_now() const noexcept {
            return static_cast<std::uint32_t>(ticket.load() >> 32);
        }
        /// Sleeps until the bell rings, unless there is a new loop already.
        void sleep(std::uint32_t known) noexcept {
            auto const heard = bell.load();
            sleeping.fetch_add(1);
            if (loop_now() == known && !ending.load()) bell.wait(heard);
            sleeping.fetch_sub(1);
        }
        void ring() noexcept {
            bell.fetch_add(1);
            bell.notify_all();
        }
        static void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
            __builtin_ia32_pause();
#else
            std::this_thread::yield();
#endif
        }
    };

    std::unique_ptr<shared> shared_;
    std::vector<std::thread> threads_;
    int forked_ = fork_count();

    /// How often this process is the child of a fork: threads do not survive one.
    static int fork_count() noexcept {
        static std::atomic<int> count{0};
#if defined(__unix__)
        static int const registered = pthread_atfork(nullptr, nullptr, [] { ++count; });
        (void)registered;
#endif
        return count.load(std::memory_order_relaxed);
    }
    void stop() noexcept {
        if (forked_ !=
            fork_count()) { // the threads are the parent's: leave them and their state be
            (void)new std::vector<std::thread>(std::move(threads_));
            (void)shared_.release();
            return;
        }
        shared_->ending.store(true);
        shared_->ring();
        for (auto& thread : threads_) thread.join();
    }
};

} // namespace prytany::inline PRYTANY_ABI
