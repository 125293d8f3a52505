// SPDX-License-Identifier: MIT
// The executor with threads of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__unix__)
#include <pthread.h>
#endif

#include "prytany/core/error.hpp"
#include "prytany/exec/concept.hpp"

namespace prytany::inline PRYTANY_ABI {

/// Threads that wait for loops: the caller works too, idle workers spin for a while, then sleep.
///
/// Items are claimed one by one, so a worker that the system took away delays only its own item.
/// The first exception of a loop cancels the items not yet begun and reaches the caller; the pool
/// stays usable. A loop inside a loop, a second caller at the same time, and a child after fork()
/// run on the calling thread.
/// Models    executor
/// Cost      about 0.1 to 0.3 µs a loop while workers spin; no allocation
/// Throws    error, if width < 1; std::system_error, if a thread cannot start
/// Test      tests/exec/thread_pool.test.cpp        Bench   bench/exec/thread_pool.bench.cpp
class thread_pool {
public:
    /// `width` workers, the caller among them; by default one for each core.
    explicit thread_pool(index_t width = cores()) {
        if (width < 1) throw error("thread_pool.width", "at least 1", std::to_string(width));
        fork_count(); // registers the handler before the first thread starts
        shared_ = std::make_unique<shared>();
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
        bool const alone = count <= 1 || threads_.empty() || busy_here() || forked_ != fork_count();
        std::unique_lock<std::mutex> turn(shared_->turn, std::defer_lock);
        if (alone || count >= most || !turn.try_lock()) {
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
        // The epoch of the loop in the upper half, the items not yet claimed in the lower: one
        // exchange claims an item, and while it is not done the loop's fields cannot change.
        alignas(64) std::atomic<std::uint64_t> ticket{0};
        alignas(64) std::atomic<index_t> done{0};
        alignas(64) std::atomic<std::uint32_t> epoch{0};
        std::atomic<bool> ending{false}, cancelled{false};
        index_t count = 0;
        void* object = nullptr;
        task call = nullptr;
        std::exception_ptr failure;
        std::mutex turn, failing;

        void run(index_t items, void* it, task f) {
            count = items;
            object = it;
            call = f;
            failure = nullptr;
            cancelled.store(false, std::memory_order_relaxed);
            done.store(0, std::memory_order_relaxed);
            auto const now = epoch.load(std::memory_order_relaxed) + 1;
            ticket.store(std::uint64_t{now} << 32 | static_cast<std::uint32_t>(items));
            epoch.store(now);
            epoch.notify_all();
            busy_here() = true;
            work(0);
            busy_here() = false;
            for (int spins = 0; done.load(std::memory_order_acquire) != items; ++spins)
                spins < 4000 ? pause() : std::this_thread::yield();
            if (cancelled.load(std::memory_order_relaxed)) std::rethrow_exception(failure);
        }
        void work(index_t worker) noexcept {
            for (auto seen = ticket.load(std::memory_order_acquire);;) {
                auto const left = static_cast<std::uint32_t>(seen);
                if (left == 0) return;
                if (!ticket.compare_exchange_weak(seen, seen - 1, std::memory_order_acq_rel))
                    continue;
                if (!cancelled.load(std::memory_order_relaxed)) {
                    try {
                        call(object, count - static_cast<index_t>(left), worker);
                    } catch (...) {
                        std::lock_guard const lock(failing);
                        if (!cancelled.exchange(true)) failure = std::current_exception();
                    }
                }
                done.fetch_add(1, std::memory_order_acq_rel);
                seen = ticket.load(std::memory_order_acquire);
            }
        }
        void serve(index_t worker) noexcept {
            busy_here() = true;
            for (std::uint32_t known = 0;;) {
                int spins = 0;
                auto now = epoch.load(std::memory_order_acquire);
                for (; now == known && spins < 8000; ++spins) {
                    pause();
                    now = epoch.load(std::memory_order_acquire);
                }
                if (now == known) {
                    epoch.wait(known);
                    continue;
                }
                if (ending.load(std::memory_order_acquire)) return;
                known = now;
                work(worker);
            }
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

    /// Whether this thread is inside a loop of some pool.
    static bool& busy_here() noexcept {
        thread_local bool busy = false;
        return busy;
    }
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
        shared_->ending.store(true, std::memory_order_release);
        shared_->epoch.fetch_add(1);
        shared_->epoch.notify_all();
        for (auto& thread : threads_) thread.join();
    }
};

} // namespace prytany::inline PRYTANY_ABI
